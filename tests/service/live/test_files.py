"""A directory as it is treated in life; every change arrives, and nothing that is none."""

import asyncio
import os
import shutil
import threading
from collections.abc import Generator
from contextlib import aclosing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.errors import ConfigurationError
from batkol.live import files
from batkol.live.files import FileSource, ReadTimings
from batkol.live.source import LARGEST, NAMES, FileContents
from support.live.directory import ConfigMap, following, rename_over, streaming, tuning, until, until_batch


async def test_what_is_there_at_the_start_is_taken(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200))

    async with following(tmp_path) as live:
        assert live.tuning.batch_ms == 200


async def test_a_write_in_place_is_taken(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200))

    async with following(tmp_path) as live:
        for batch in (210, 220, 230):
            (tmp_path / "tuning.json").write_text(tuning(batch))
            await until_batch(live, batch)
        assert live.tuning.batch_ms == 230
        assert live.status().last_error is None


async def test_a_rename_over_the_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200))

    async with following(tmp_path) as live:
        rename_over(tmp_path / "tuning.json", tuning(210))
        await until_batch(live, 210)
        assert live.tuning.batch_ms == 210
        assert live.status().last_error is None


async def test_an_older_file_is_taken(tmp_path: Path) -> None:
    """A roll-back by `cp -p` or rsync carries the old time with it."""
    file = tmp_path / "tuning.json"
    file.write_text(tuning(200))

    async with following(tmp_path) as live:
        older = tmp_path / "older"
        older.write_text(tuning(210))
        os.utime(older, (1_000_000, 1_000_000))
        older.replace(file)
        await until_batch(live, 210)
        assert live.tuning.batch_ms == 210
        assert file.stat().st_mtime == 1_000_000


async def test_the_kubelets_symlink_swap_is_taken(tmp_path: Path) -> None:
    mounted = ConfigMap(tmp_path / "mount")
    mounted.write(tuning=tuning(200), flags=streaming("on"))

    async with following(tmp_path / "mount") as live:
        for batch in (210, 220, 230):
            mounted.write(tuning=tuning(batch), flags=streaming("off"))
            await until_batch(live, batch)
        await until(lambda: live.definitions and live.definitions.flags["streaming-stt"]["defaultVariant"] == "off")
        assert live.status().refusals == ()


async def test_a_directory_may_come_later_and_be_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "live"

    async with following(directory) as live:
        assert live.tuning.revision == "defaults"
        directory.mkdir()
        (directory / "tuning.json").write_text(tuning(210))
        await until_batch(live, 210)

        other = tmp_path / "other"
        other.mkdir()
        (other / "tuning.json").write_text(tuning(220))
        shutil.rmtree(directory)
        other.rename(directory)
        await until_batch(live, 220)

        rename_over(directory / "tuning.json", tuning(230))
        await until_batch(live, 230)


async def test_a_link_to_the_directory_may_be_retargeted(tmp_path: Path) -> None:
    for name, batch in (("a", 210), ("b", 220)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tuning.json").write_text(tuning(batch))
    link = tmp_path / "live"
    link.symlink_to("a")

    async with following(link) as live:
        (tmp_path / "new").symlink_to("b")
        (tmp_path / "new").rename(link)
        await until_batch(live, 220)
        assert live.tuning.batch_ms == 220
        assert link.readlink() == Path("b")


async def test_without_inotify_the_directory_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> Generator[None, None, None]:
        raise OSError("no space left on device")  # what a node without inotify watches left says

    monkeypatch.setattr(files, "watch", exhausted)
    with capture_logs() as logs:
        async with following(tmp_path) as live:
            (tmp_path / "tuning.json").write_text(tuning(210))
            await until_batch(live, 210)
            (tmp_path / "tuning.json").write_text(tuning(220))
            await until_batch(live, 220)

    assert len([entry for entry in logs if "polls the directory instead" in entry.get("problem", "")]) == 1


async def test_on_a_file_system_that_never_notifies_the_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, stop_event: threading.Event, **__: object) -> Generator[None, None, None]:
        stop_event.wait()
        yield

    monkeypatch.setattr(files, "watch", silent)
    async with following(tmp_path, pace=ReadTimings(eager_for=0.0)) as live:
        assert live.tuning.revision == "defaults"
        (tmp_path / "tuning.json").write_text(tuning(210))
        await until_batch(live, 210)
        assert live.tuning.batch_ms == 210


async def test_a_half_written_file_is_given_time_to_become_whole(tmp_path: Path) -> None:
    file = tmp_path / "flags.json"
    file.write_text(streaming("on"))

    with capture_logs() as logs:
        async with following(tmp_path) as live:
            text = streaming("off")
            with file.open("w") as writing:
                writing.write(text[:30])
                writing.flush()
                await asyncio.sleep(0.05)
                writing.write(text[30:])
            await until(lambda: live.definitions and live.definitions.flags["streaming-stt"]["defaultVariant"] == "off")

            assert live.status().last_error is None
    assert not [entry for entry in logs if entry["log_level"] == "warning"]


async def test_a_file_that_stays_half_written_is_refused_and_taken_when_whole(tmp_path: Path) -> None:
    file = tmp_path / "flags.json"
    file.write_text(streaming("on"))

    async with following(tmp_path) as live:
        file.write_text(streaming("off")[:30])
        await until(lambda: live.status().refusals)
        assert live.definitions
        assert live.definitions.flags["streaming-stt"]["defaultVariant"] == "on"

        file.write_text(streaming("off"))
        await until(lambda: not live.status().refusals)
        assert live.definitions.flags["streaming-stt"]["defaultVariant"] == "off"


async def test_the_same_contents_written_again_are_no_change(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200))

    async with following(tmp_path) as live:
        rename_over(tmp_path / "tuning.json", tuning(200))
        rename_over(tmp_path / "flags.json", streaming("on"))
        await until(lambda: live.definitions)

        assert live.status().reads <= 3  # the start, perhaps the moment between the two, the end
        assert live.tuning.batch_ms == 200


async def test_nothing_is_handed_over_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200))
    source = FileSource(tmp_path, pace=ReadTimings(eager=0.01))
    read, reads = source._reads.snapshot, 0

    async def counted() -> FileContents | None:
        nonlocal reads
        reads += 1
        return await read()

    monkeypatch.setattr(source._reads, "snapshot", counted)
    async with aclosing(source.watch()) as snapshots:
        await anext(snapshots)
        second = asyncio.ensure_future(anext(snapshots))
        await until(lambda: reads == 4 or second.done())
        assert not second.done(), "the second read and the third found what the first had found"
        second.cancel()
        await asyncio.wait([second])


async def test_what_nobody_expected_comes_out_and_a_cancellation_is_still_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Generator[None, None, None]:
        raise ZeroDivisionError

    monkeypatch.setattr(files, "watch", broken)
    async with aclosing(FileSource(tmp_path).watch()) as snapshots:
        await anext(snapshots)
        with pytest.raises(ZeroDivisionError):
            await anext(snapshots)

    watching = FileSource(tmp_path).watch()
    await anext(watching)
    waiting = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_something_that_cannot_be_read_is_as_good_as_absent(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").mkdir()
    (tmp_path / "flags.json").symlink_to("flags.json")

    with capture_logs() as logs:
        async with following(tmp_path) as live:
            assert live.tuning.revision == "defaults"
            assert live.definitions is None
    assert any("cannot be read" in entry.get("problem", "") for entry in logs)


async def test_closing_leaves_no_task(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    threads = threading.active_count()

    async with aclosing(FileSource(tmp_path).watch()) as snapshots:
        assert await anext(snapshots) == dict.fromkeys(NAMES)

    assert asyncio.all_tasks() == before
    assert threading.active_count() <= threads + 4  # idle workers of the loop's pools, gone with the loop


def test_the_path_may_be_one_of_the_files(tmp_path: Path) -> None:
    assert FileSource(tmp_path / "flags.json").directory == tmp_path
    assert FileSource(tmp_path / "tuning.json").directory == tmp_path
    assert FileSource(str(tmp_path)).name == f"file:{tmp_path}"


def test_the_path_may_not_be_another_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"tuning\.json, flags\.json and reply\.json"):
        FileSource(tmp_path / "settings.json")


async def test_no_more_of_a_file_is_read_than_may_be_taken(tmp_path: Path) -> None:
    """A file of 50 MB would otherwise be read, and compared with what it was, every second."""
    with (tmp_path / "flags.json").open("wb") as file:
        file.truncate(50_000_000)

    async with aclosing(FileSource(tmp_path).watch()) as snapshots:
        snapshot = await anext(snapshots)
    assert len(snapshot["flags.json"] or b"") == LARGEST + 1

    async with following(tmp_path) as live:
        (refusal,) = live.status().refusals
        assert "larger than 1 MiB" in refusal.why
