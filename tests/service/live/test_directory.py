"""What stands in the place of a live file, or keeps a read from returning: it is said, and holds up nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.live.config import Live
from batkol.live.files import FileSource, ReadTimings
from batkol.live.source import EMPTY, SourceState
from support.files.hanging import hanging
from support.live.directory import following, rename_over, streaming, tuning, until, until_batch

TESTS = Path(__file__).parents[2]


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS: dict[str, Callable[[Path], None]] = {
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "a character device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _socket,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_only_a_regular_file_is_read_and_anything_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    KINDS[kind](Path("flags.json"))
    (tmp_path / "tuning.json").write_text(tuning(210))

    with capture_logs() as logs:
        async with following(tmp_path) as live:
            assert live.tuning.batch_ms == 210
            assert live.definitions is None
            state = live.status().state or ""
            assert state.startswith("watching since 20")
            assert f"flags.json is {kind}, which the service does not read; put a regular file in its place." in state

            rename_over(tmp_path / "tuning.json", tuning(220))
            await until_batch(live, 220)
            if kind != "a directory":
                rename_over(tmp_path / "flags.json", streaming("on"))
                await until(lambda: live.definitions)
                assert live.status().state == "watching"
    problems = [entry["problem"] for entry in logs if entry["event"] == "[CFG] live source failed"]
    assert problems == [f"flags.json is {kind}, which the service does not read; put a regular file in its place."]


async def test_a_fifo_in_the_place_of_a_good_file_leaves_what_is_in_force(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(streaming("on"))

    async with following(tmp_path) as live:
        os.mkfifo(tmp_path / "beside")
        (tmp_path / "beside").rename(tmp_path / "flags.json")
        await until(lambda: live.status().refusals)

        assert live.definitions is not None
        assert "flags.json is a FIFO" in (live.status().state or "")
        (tmp_path / "flags.json").unlink()
        await until(lambda: live.status().state == "watching")


async def test_a_start_does_not_wait_for_a_file_system_that_hangs(tmp_path: Path) -> None:
    directory = tmp_path / "live"
    directory.mkdir()
    (directory / "tuning.json").write_text(tuning(210))
    source = FileSource(directory, read_s=0.05)
    live = Live(source)

    with hanging(directory) as answer, capture_logs() as logs:
        task = asyncio.create_task(live.run())
        await asyncio.wait_for(live.ready(), 15)
        assert live.tuning.revision == "defaults"
        assert source.status().state is SourceState.RETRYING
        assert "has not returned for 0.05 s: the file system does not answer" in (live.status().state or "")
        silent_s = source.status().heard_s or 0.0  # what the alert goes by
        await until(lambda: (source.status().heard_s or 0.0) > silent_s)

        answer()
        await until_batch(live, 210)
        assert live.status().state == "watching"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    said = [entry["event"] for entry in logs if entry["event"].startswith("[CFG] live source")]
    assert said == ["[CFG] live source failed", "[CFG] live source recovered"]


async def test_what_is_in_force_stays_while_a_read_hangs_and_one_thread_waits(tmp_path: Path) -> None:
    directory = tmp_path / "live"
    directory.mkdir()
    (directory / "tuning.json").write_text(tuning(210))
    source = FileSource(directory, read_s=0.02, pace=ReadTimings(tick=0.01, eager=0.01))
    live = Live(source)
    task = asyncio.create_task(live.run())
    await asyncio.wait_for(live.ready(), 15)
    with _threads() as threads, hanging(directory) as answer:
        await until(lambda: source.status().state is SourceState.RETRYING)
        reads = source.status().heard_s or 0.0
        await until(lambda: (source.status().heard_s or 0.0) > reads + 0.2)  # ten looks later

        assert (live.tuning.batch_ms, live.status().refusals) == (210, ())
        assert threads() <= 0
        answer()
        rename_over(directory / "tuning.json", tuning(220))
        await until_batch(live, 220)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextmanager
def _threads() -> Iterator[Callable[[], int]]:
    """How many live threads there are more than at first, of those that read and watch directories."""

    def count() -> int:
        return sum(thread.name.startswith("live.") for thread in threading.enumerate())

    before = count()
    yield lambda: count() - before


SERVICE = """
import asyncio, signal, sys
from pathlib import Path
from batkol.live.files import FileSource, ReadTimings
from batkol.live.config import Live
from support.files.hanging import hang

async def main():
    directory, fifo = map(Path, sys.argv[1:])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if fifo.exists():
        hang(directory, fifo)
    live = Live(FileSource(directory, read_s=0.2))
    task = asyncio.create_task(live.run())
    await live.ready()
    print("ready", flush=True)
    await stop.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
print("ended", flush=True)
"""


@pytest.mark.parametrize("what", ["a FIFO as the file", "a file system that hangs"])
def test_a_process_ends_when_it_is_told_to(tmp_path: Path, what: str) -> None:
    directory, fifo = tmp_path / "live", tmp_path / "fifo"
    directory.mkdir()
    os.mkfifo(directory / "flags.json" if what == "a FIFO as the file" else fifo)
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", SERVICE, str(directory), str(fifo)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert "ready\n" in iter(process.stdout.readline, "")
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert "ended" in rest
    assert process.returncode == 0


async def test_mounted_files_that_hang_do_not_hold_up_the_start_of_a_pod(tmp_path: Path) -> None:
    directory = tmp_path / "live"
    directory.mkdir()
    with hanging(directory):
        async with aclosing(FileSource(directory, read_s=0.05).watch()) as snapshots:
            assert await asyncio.wait_for(anext(snapshots), 15) == EMPTY
