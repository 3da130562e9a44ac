import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from structlog.testing import capture_logs

from batkol.errors import ConfigurationError
from batkol.store.journal import Journal
from batkol.store.journal.framing import HEADER_BYTES
from batkol.store.journal.journal import COMMITTED
from batkol.store.journal.mark import Position
from batkol.store.journal.newest import UNWRITTEN_BYTES
from batkol.store.journal.tmpfs import FileCalls
from support.files.search import holding
from support.postgres.journals import framed
from support.time.waiting import until

NO_SPACE = "[Errno 28] No space left on device"


def journal(tmp_path: Path, *, max_bytes: int = 1 << 30, calls: FileCalls | None = None) -> Journal:
    memory = tmp_path / "memory"
    memory.mkdir(exist_ok=True)
    return Journal(tmp_path / "journal", max_bytes=max_bytes, memory=memory, calls=calls)


async def payloads(of: Journal, most: int = 1000) -> list[bytes]:
    return [each.payload for each in await of.read(most)]


async def on_disk(of: Journal) -> None:
    await until(lambda: of.committed == of.last)


async def test_what_is_appended_is_read_in_order_and_released(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    said = [b"record %d" % n for n in range(100)]
    assert all(kept.append(payload) for payload in said)

    assert await payloads(kept) == said, "from memory, before the disk has them"
    await on_disk(kept)
    assert await payloads(kept) == said
    assert kept.append(b"record 100")
    assert await payloads(kept) == [*said, b"record 100"], "from the disk, and the newest from memory"
    assert await payloads(kept, 7) == said[:7]
    await kept.release(60)
    assert (await payloads(kept, 3), kept.waiting) == (said[60:63], 41)
    await kept.close()


async def test_a_record_that_postgres_has_in_time_never_goes_to_the_disk(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    for n in range(10):
        kept.append(b"secret %d" % n)
    await kept.release(10)
    kept.append(b"later")
    await on_disk(kept)

    assert [path.name for path in holding(tmp_path / "journal", b"secret")] == []
    assert [path.name for path in holding(tmp_path / "journal", b"later")] != []
    await kept.close()


async def test_a_restart_goes_on_where_the_last_release_was(tmp_path: Path) -> None:
    before = journal(tmp_path)
    await before.open()
    for n in range(10):
        before.append(b"record %d" % n)
    await before.release(4)
    await before.close()
    after = journal(tmp_path)
    await after.open()

    assert await payloads(after) == [b"record %d" % n for n in range(4, 10)]
    assert after.append(b"record 10")
    assert (await payloads(after))[-1] == b"record 10"
    await after.close()


async def test_numbers_go_on_though_everything_was_released(tmp_path: Path) -> None:
    before = journal(tmp_path)
    await before.open()
    before.append(b"a")
    await on_disk(before)
    await before.release(1)
    await before.settle()
    await before.close()
    after = journal(tmp_path)
    await after.open()
    after.append(b"b")

    assert (after.last, after.waiting) == (2, 1)
    assert await payloads(after) == [b"b"]
    await after.close()


DIES_AT_ONCE = """
import asyncio, os, sys, threading
from pathlib import Path
from batkol.store.journal import Journal

async def main():
    kept = Journal(Path(sys.argv[1]), max_bytes=1 << 30, memory=Path(sys.argv[2]))
    await kept.open()
    kept.append(b"on the disk")
    while kept.committed < 1:
        await asyncio.sleep(0.01)
    kept._thread.submit(threading.Event().wait)  # a disk that stands still
    kept.append(b"in memory")
    kept.append(b"in memory too")
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_a_kill_in_the_moment_after_the_append_loses_nothing_though_the_disk_stands_still(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    command = [sys.executable, "-c", DIES_AT_ONCE, str(tmp_path / "journal"), str(memory)]
    died = await asyncio.to_thread(subprocess.run, command, check=False, timeout=50)
    assert died.returncode == -9
    kept = journal(tmp_path)
    with capture_logs() as lines:
        await kept.open()

    assert await payloads(kept) == [b"on the disk", b"in memory", b"in memory too"]
    assert [(line["records"], line["from_memory"]) for line in lines] == [(3, 2)]
    await kept.close()
    again = journal(tmp_path)
    await again.open()
    assert await payloads(again) == [b"on the disk", b"in memory", b"in memory too"], "once, and once only"
    assert again.lost == 0
    await again.close()


async def test_when_it_is_full_the_oldest_stay_and_new_ones_are_refused_loudly(tmp_path: Path) -> None:
    kept = journal(tmp_path, max_bytes=10 * (HEADER_BYTES + 100))
    await kept.open()
    with capture_logs() as lines:
        taken = [kept.append(b"%100d" % n) for n in range(17)]

    assert taken == [True] * 10 + [False] * 7
    assert kept.refused == 7
    assert [line["refused"] for line in lines if line["log_level"] == "error"] == [1, 2, 4]
    assert "LOST" in lines[0]["event"]
    await on_disk(kept)
    assert await payloads(kept) == [b"%100d" % n for n in range(10)]
    await kept.release(4)
    await until(lambda: kept.size < 8 * (HEADER_BYTES + 100))
    assert kept.append(b"%100d" % 17), "there is room again"
    assert (await payloads(kept))[-1] == b"%100d" % 17
    await kept.close()


async def test_what_the_disk_has_counts_once_though_the_loop_has_not_heard_of_the_commit(tmp_path: Path) -> None:
    """A loop that is held up meanwhile must not take a journal for full that is not."""
    kept = journal(tmp_path, max_bytes=10 * (HEADER_BYTES + 100))
    await kept.open()
    assert [kept.append(bytes(100)) for _ in range(6)] == [True] * 6
    kept._commit()
    kept._thread.submit(lambda: None).result()  # the commit is done, and the loop stands still

    assert kept.append(bytes(100))
    assert kept.refused == 0
    await kept.close()


async def test_what_waits_for_the_disk_is_bounded(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    stands_still = threading.Event()
    kept._thread.submit(stands_still.wait)
    payload = bytes(1 << 20)
    with capture_logs():
        taken = [kept.append(payload) for _ in range(20)]
    stands_still.set()

    assert taken.count(True) == UNWRITTEN_BYTES // (HEADER_BYTES + len(payload))
    assert taken == sorted(taken, reverse=True)
    await on_disk(kept)
    assert await payloads(kept) == [payload] * taken.count(True)
    await kept.close()


async def test_while_the_disk_stands_still_records_go_to_postgres_all_the_same(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    stands_still = threading.Event()
    kept._thread.submit(stands_still.wait)
    kept.append(b"a")

    assert await payloads(kept) == [b"a"]
    await kept.release(1)
    assert kept.waiting == 0
    stands_still.set()
    await kept.close()


async def test_once_the_database_has_everything_nothing_that_was_said_is_left_in_any_file(tmp_path: Path) -> None:
    secret = "סוד".encode()
    kept = journal(tmp_path)
    await kept.open()
    for n in range(100):
        kept.append(secret + b" %d" % n + bytes(100 * (n % 5)) + (bytes(20_000) + secret if n == 7 else b""))
    await on_disk(kept)
    await kept.settle()
    assert {path.name for path in holding(tmp_path, secret)} == {"journal.sqlite-wal", "newest"}
    await kept.release(50)
    await until(lambda: kept._disk.rows == 50)
    await kept.release(100)
    await kept.settle()

    assert holding(tmp_path, secret) == []
    kept.append(b"next")
    assert await payloads(kept) == [b"next"]
    await kept.close()


async def test_one_process_has_it(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    with pytest.raises(ConfigurationError, match=r"JOURNAL_DIR=.*another process uses it.*name a folder"):
        await journal(tmp_path).open()
    kept.append(b"a")
    await on_disk(kept)
    assert await payloads(kept) == [b"a"]
    await kept.close()


async def test_a_folder_that_cannot_be_is_refused_with_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")

    with pytest.raises(ConfigurationError, match=r"JOURNAL_DIR="):
        await journal(tmp_path).open()


async def test_waiting_for_more_ends_when_there_is_some_or_when_the_patience_does(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    assert await kept.more(0.01) is False
    waiting = asyncio.create_task(kept.more(30))
    await asyncio.sleep(0)
    kept.append(b"a")

    assert await waiting is True
    await kept.close()


async def test_memory_does_not_grow_with_what_the_disk_has(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    for _ in range(10):
        for _ in range(50):
            kept.append(bytes(1000))
        await on_disk(kept)

    assert kept._newest.memory_size < 3 * (64 << 10)
    assert kept.last == 500
    await kept.close()


async def test_memory_does_not_grow_though_records_never_stop(tmp_path: Path) -> None:
    """At no moment is everything safe; what is safe is dropped all the same."""
    kept = journal(tmp_path)
    await kept.open()
    for n in range(2000):
        kept.append(bytes(1000))
        if n % 10 == 9:
            await kept.release(n - 5)

    assert len(await kept.read(1000)) == 6
    assert kept._newest.memory_size < 2 * (64 << 10)
    await kept.close()
    again = journal(tmp_path)
    await again.open()
    assert (again.waiting, len(await again.read(1000)), again.lost) == (6, 6, 0)
    await again.close()


async def test_a_disk_that_takes_nothing_is_asked_again_and_nothing_is_lost(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()

    async def room(pages: int) -> None:
        await kept._in_thread(lambda: kept._disk._opened()._connection.execute(f"PRAGMA max_page_count = {pages}"))

    await room(4)
    with capture_logs() as lines:
        kept.append(bytes(30_000))
        await until(lambda: kept.failing)
        assert "SQLITE_FULL" in kept.failing
        kept.append(b"b")
        assert await payloads(kept) == [bytes(30_000), b"b"]
        await room(1000)
        await until(lambda: not kept.failing)

    await on_disk(kept)
    assert await payloads(kept) == [bytes(30_000), b"b"]
    assert [line["event"] for line in lines] == [
        "[STORE] journal's disk takes no writes; records wait in memory",
        "[STORE] journal's disk writes resumed",
    ]
    await kept.close()


async def test_a_fault_that_is_ours_is_seen_and_tried_again_too(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    file = kept._disk._opened()
    before, file.position = file.position, None  # type: ignore[assignment]
    with capture_logs() as lines:
        kept.append(b"a")
        await until(lambda: kept.failing)
        file.position = before
        await on_disk(kept)

    assert [line["log_level"] for line in lines if "exc_info" in line] == ["error"]
    assert await payloads(kept) == [b"a"]
    await until(lambda: not kept.failing)
    await kept.close()


async def test_a_full_journal_whose_disk_refuses_takes_new_records_once_postgres_is_back(tmp_path: Path) -> None:
    """What the file cannot delete is in Postgres all the same, so it takes no room from what is said next."""
    kept = journal(tmp_path, max_bytes=100 * (HEADER_BYTES + 1000))
    await kept.open()
    while kept.append(bytes(1000)):
        pass
    await on_disk(kept)
    await kept._in_thread(lambda: kept._disk._opened()._connection.execute("PRAGMA query_only = ON").fetchall())
    with capture_logs():
        assert not kept.append(b"full")
        while kept.waiting:
            await kept.release((await kept.read(30))[-1].number)
        kept.append(b"first")
        await until(lambda: kept.failing)

        assert kept.size > kept.max_bytes - 2000, "the file deletes nothing"
        assert [kept.append(bytes(1000)) for _ in range(90)] == [True] * 90
        while kept.append(bytes(1000)):
            pass
        assert 95 < kept.waiting < 105, "what waits is bounded as before"
        await kept._in_thread(lambda: kept._disk._opened()._connection.execute("PRAGMA query_only = OFF").fetchall())
        await on_disk(kept)
    await kept.close()


async def test_a_look_at_the_file_does_not_say_that_the_disk_takes_records_again(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    kept.append(b"a")
    await on_disk(kept)
    await kept._in_thread(lambda: kept._disk._opened()._connection.execute("PRAGMA query_only = ON").fetchall())
    with capture_logs() as lines:
        kept.append(b"b")
        await until(lambda: kept.failing)
        elsewhere = tmp_path / "elsewhere"
        for is_away in (False, True, False):  # the look succeeds, fails, and succeeds
            await until(lambda: kept._committing is None)
            if is_away:
                (tmp_path / "journal").rename(elsewhere)
            kept._watching.cancel()
            kept._watch()
            assert kept._committing is not None
            await asyncio.wait([kept._committing])
            await asyncio.sleep(0)
            assert kept.failing
            if is_away:
                elsewhere.rename(tmp_path / "journal")
        assert len(lines) == 1, "it is said once"
        await kept._in_thread(lambda: kept._disk._opened()._connection.execute("PRAGMA query_only = OFF").fetchall())
        await on_disk(kept)
        await until(lambda: not kept.failing)
    await kept.close()


async def test_a_look_that_failed_is_over_with_the_next_one(tmp_path: Path) -> None:
    """With nothing to commit there is no other sign."""
    kept = journal(tmp_path)
    await kept.open()
    kept.append(b"a")
    await on_disk(kept)
    await until(lambda: kept._committing is None)
    elsewhere = (tmp_path / "journal").rename(tmp_path / "elsewhere")
    for is_there in (False, True):
        if is_there:
            elsewhere.rename(tmp_path / "journal")
        with capture_logs():
            kept._watching.cancel()
            kept._watch()
            await until(lambda: kept._committing is None)
            assert bool(kept.failing) is not is_there
    await kept.close()


async def test_a_disk_with_nothing_left_to_take_is_asked_whether_it_would(tmp_path: Path) -> None:
    """Postgres had everything before the disk was well again."""
    kept = journal(tmp_path)
    await kept.open()
    await kept._in_thread(lambda: kept._disk._opened()._connection.execute("PRAGMA query_only = ON").fetchall())
    with capture_logs():
        kept.append(b"a")
        await until(lambda: kept.failing)
        await kept.release(1)
        await kept.settle()
        assert kept.failing
        await kept._in_thread(lambda: kept._disk._opened()._connection.execute("PRAGMA query_only = OFF").fetchall())
        await kept.settle()
    assert not kept.failing
    await kept.close()


async def test_no_commit_runs_once_it_is_closed_though_one_was_under_way(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    goes_on = threading.Event()
    kept._thread.submit(goes_on.wait)
    kept.append(b"a")
    await until(lambda: kept._committing is not None)
    kept.append(b"b")
    closing = asyncio.create_task(kept.close())
    await asyncio.sleep(0)
    kept._watch()
    assert kept.append(b"c"), "it is kept in memory meanwhile"
    goes_on.set()
    await closing
    with capture_logs():
        assert not kept.append(b"d"), "and refused then"
    await asyncio.sleep(0)
    assert (kept._committing, kept._due is None or kept._due.cancelled()) == (None, True)
    kept._watching.cancel()

    again = journal(tmp_path)
    await again.open()
    assert await payloads(again) == [b"a", b"b", b"c"]
    await again.close()


async def test_what_is_closed_writes_to_no_file_that_has_its_number(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    disk, mark, memory = kept._disk, kept._disk._mark, kept._newest._memory
    await kept.close()
    other = tmp_path / "other"
    other.write_bytes(b"other")
    held = [other.open("r+b", buffering=0) for _ in range(8)]
    for write in (
        lambda: disk.commit(framed([1]), 0),
        lambda: disk.read(0, 1, 1),
        lambda: disk.tidy(0),
        lambda: disk.watch(0),
        lambda: mark.write(Position()),
        lambda: memory.append(b"frame"),
        disk._reserve.give,
    ):
        with pytest.raises(OSError, match=r"closed|Bad file descriptor|Invalid"):
            write()

    assert other.read_bytes() == b"other"
    assert not (tmp_path / "journal" / "journal.sqlite-wal").exists(), "it is not opened again, without the lock"
    for each in held:
        each.close()


class Untouched(dict[int, bytes]):
    """Frames that are counted out to nobody at once."""

    def values(self) -> NoReturn:
        raise AssertionError("all of them are copied")


async def test_a_release_copies_nothing_while_too_much_is_needed_to_be_moved(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    stands_still = threading.Event()
    kept._thread.submit(stands_still.wait)
    for _ in range(3000):
        assert kept.append(bytes(1000))
    kept._newest._frames = Untouched(kept._newest._frames)
    for number in range(100, 1400, 100):
        await kept.release(number)
    kept._newest._frames = dict(kept._newest._frames)
    stands_still.set()
    await kept.close()


async def test_a_commit_is_given_a_bounded_part_and_the_next_one_follows_at_once(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    given: list[int] = []
    commit = kept._disk.commit

    def counted(frames: Sequence[tuple[int, bytes]], released: int) -> None:
        given.append(len(frames))
        commit(frames, released)

    kept._disk.commit = counted  # type: ignore[method-assign]
    for _ in range(2 * COMMITTED + 10):
        kept.append(b"a")
    await on_disk(kept)
    assert given == [COMMITTED, COMMITTED, 10]
    assert len(await kept.read(10_000)) == 2 * COMMITTED + 10
    await kept.close()
