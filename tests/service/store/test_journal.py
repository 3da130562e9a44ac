import asyncio
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.errors import ConfigurationError
from batkol.store.framing import HEADER_BYTES
from batkol.store.journal import UNWRITTEN_BYTES, Journal
from support.waiting import until


def journal(tmp_path: Path, *, max_bytes: int = 1 << 30, segment_bytes: int = 500) -> Journal:
    memory = tmp_path / "memory"
    memory.mkdir(exist_ok=True)
    return Journal(tmp_path / "journal", max_bytes=max_bytes, memory=memory, segment_bytes=segment_bytes)


async def read(of: Journal, count: int) -> list[bytes]:
    await until(lambda: of.waiting == 0 or of.written == of.last)
    return [each.payload for each in await of.read(count)]


async def test_what_is_appended_is_read_in_order_and_released(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    said = [b"record %d" % n for n in range(100)]
    assert all(kept.append(payload) for payload in said)

    assert await read(kept, 1000) == said
    await kept.release(60)
    assert (await read(kept, 3), kept.waiting) == (said[60:63], 40)
    await kept.close()


async def test_a_restart_goes_on_where_the_last_release_was(tmp_path: Path) -> None:
    before = journal(tmp_path)
    await before.open()
    for n in range(10):
        before.append(b"record %d" % n)
    await read(before, 10)
    await before.release(4)
    await before.close()
    after = journal(tmp_path)
    await after.open()

    assert await read(after, 100) == [b"record %d" % n for n in range(4, 10)]
    assert after.append(b"record 10")
    assert (await read(after, 100))[-1] == b"record 10"
    await after.close()


async def test_numbers_go_on_though_everything_was_released(tmp_path: Path) -> None:
    before = journal(tmp_path)
    await before.open()
    before.append(b"a")
    await read(before, 1)
    await before.release(1)
    await before.settle()
    await before.close()
    after = journal(tmp_path)
    await after.open()
    after.append(b"b")

    assert (after.last, after.waiting) == (2, 1)
    assert await read(after, 9) == [b"b"]
    await after.close()


DIES_AT_ONCE = """
import asyncio, os, sys, threading
from pathlib import Path
from batkol.store.journal import Journal

async def main():
    kept = Journal(Path(sys.argv[1]), max_bytes=1 << 30, memory=Path(sys.argv[2]))
    await kept.open()
    kept.append(b"on the disk")
    while kept.written < 1:
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

    assert await read(kept, 10) == [b"on the disk", b"in memory", b"in memory too"]
    assert [(line["records"], line["from_memory"]) for line in lines] == [(3, 2)]
    await kept.close()
    again = journal(tmp_path)
    await again.open()
    assert await read(again, 10) == [b"on the disk", b"in memory", b"in memory too"], "once, and once only"
    await again.close()


async def test_when_it_is_full_the_oldest_stay_and_new_ones_are_refused_loudly(tmp_path: Path) -> None:
    each = HEADER_BYTES + 100
    kept = journal(tmp_path, max_bytes=10 * each, segment_bytes=2 * each)
    await kept.open()
    taken = []
    with capture_logs() as lines:
        for n in range(17):
            taken.append(kept.append(b"%100d" % n))
            await until(lambda: kept.written == kept.last)

    assert taken == [True] * 10 + [False] * 7
    assert kept.refused == 7
    assert [line["refused"] for line in lines if line["log_level"] == "error"] == [1, 2, 4]
    assert "LOST" in lines[0]["event"]
    assert await read(kept, 100) == [b"%100d" % n for n in range(10)]
    await kept.release(4)
    await kept.read(1)
    assert kept.append(b"%100d" % 17), "there is room again"
    assert (await read(kept, 100))[-1] == b"%100d" % 17
    await kept.close()


async def test_a_disk_that_takes_nothing_is_asked_again_and_nothing_is_lost(tmp_path: Path) -> None:
    kept = journal(tmp_path, segment_bytes=1)
    await kept.open()
    shutil.move(tmp_path / "journal", tmp_path / "gone")
    with capture_logs() as lines:
        kept.append(b"a")
        await until(lambda: kept.failing)
        kept.append(b"b")
        assert kept.waiting == 2
        shutil.move(tmp_path / "gone", tmp_path / "journal")
        await until(lambda: kept.written == 2)

    assert await read(kept, 10) == [b"a", b"b"]
    assert kept.failing == ""
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "[STORE] the journal's disk takes nothing; records wait in memory"
    ]
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
    await until(lambda: kept.written == kept.last)
    await kept.close()


async def test_once_the_database_has_everything_nothing_that_was_said_is_left_here(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    kept.append("סוד".encode())
    await read(kept, 1)
    await kept.settle()
    held = [path for path in tmp_path.rglob("*") if path.is_file() and "סוד".encode() in path.read_bytes()]
    assert len(held) == 2, "on the disk, and in memory"
    await kept.release(1)
    await kept.settle()

    assert [path for path in tmp_path.rglob("*") if path.is_file() and "סוד".encode() in path.read_bytes()] == []
    kept.append(b"next")
    assert await read(kept, 1) == [b"next"]
    await kept.close()


async def test_one_process_has_it(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.open()
    with pytest.raises(ConfigurationError, match=r"JOURNAL_DIR=.*another process has it.*name a folder"):
        await journal(tmp_path).open()
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
    kept = journal(tmp_path, segment_bytes=1 << 20)
    await kept.open()
    for _ in range(20):
        for _ in range(10):
            kept.append(bytes(2000))
        await until(lambda: kept.written == kept.last)

    assert kept._front.size < 5 * (64 << 10)
    assert kept.last == 200
    await kept.close()
