import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from batkol.store.journal import Journal
from batkol.store.journal.framing import Frame, frame
from batkol.store.journal.tmpfs import NAME, FileCalls, MemoryFile, memory_folders, opened_memory
from support.time.waiting import until


def numbers(of: MemoryFile) -> list[int]:
    return [each.number for each in of.leftover()]


def test_what_stands_in_it_is_there_for_the_next_process(tmp_path: Path) -> None:
    memory = MemoryFile(tmp_path / "memory")
    memory.append(frame(1, b"one"))
    memory.append(frame(2, b"two"))
    memory.close()

    again = MemoryFile(tmp_path / "memory")
    assert again.leftover() == [Frame(1, b"one"), Frame(2, b"two")]
    again.drop(())
    assert again.leftover() == []
    again.append(frame(3, b"three"))
    assert numbers(again) == [3]
    again.close()


def test_what_is_safe_elsewhere_is_dropped_and_the_newest_stay(tmp_path: Path) -> None:
    memory = MemoryFile(tmp_path / "memory")
    for number in range(10):
        memory.append(frame(number, b"x"))
    memory.drop([frame(8, b"x"), frame(9, b"x")])

    assert (numbers(memory), memory.size) == ([8, 9], 2 * len(frame(8, b"x")))
    memory.append(frame(10, b"x"))
    assert numbers(memory) == [8, 9, 10]
    memory.drop([frame(9, b"x"), frame(10, b"x")])
    assert numbers(memory) == [8, 9, 10], "to move two over three would pass through a moment with one of them torn"
    memory.close()


def test_an_empty_one_leaves_nothing_behind(tmp_path: Path) -> None:
    memory = MemoryFile(tmp_path / "memory")
    memory.append(frame(1, b"one"))
    memory.drop(())
    memory.close()

    assert list(tmp_path.iterdir()) == []


def test_it_is_one_process_s_own(tmp_path: Path) -> None:
    memory = MemoryFile(tmp_path / "memory")
    with pytest.raises(BlockingIOError):
        MemoryFile(tmp_path / "memory")
    memory.close()


def test_no_other_user_can_read_it(tmp_path: Path) -> None:
    memory = MemoryFile(tmp_path / "memory")

    assert memory.path.parent.stat().st_mode & 0o777 == 0o700
    assert memory.path.stat().st_mode & 0o777 == 0o600
    memory.close()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)  # whatever the umask
    with pytest.raises(PermissionError):
        MemoryFile(tmp_path / "open")


def test_its_name_in_memory_stays_with_the_journal_and_is_no_other_journal_s(tmp_path: Path) -> None:
    a, b, memory = (tmp_path / name for name in ("a", "b", "memory"))
    for folder in (a, b, memory):
        folder.mkdir()
    first, other = (memory_folders(folder, memory)[0] for folder in (a, b))

    assert first.parent == other.parent == memory
    assert first != other
    assert memory_folders(a, memory)[0] == first
    (a / "front-id").write_text("")  # a crash, in mid-write
    assert memory_folders(a, memory)[0].name not in ("batkol-", first.name)


def test_without_memory_it_lies_beside_the_journal(tmp_path: Path) -> None:
    assert memory_folders(tmp_path, tmp_path / "no such folder") == [tmp_path / "front"]


def test_where_memory_is_not_to_be_had_it_says_so_and_lies_beside_the_journal(tmp_path: Path) -> None:
    memory, folder = tmp_path / "memory", tmp_path / "journal"
    memory.mkdir()
    folder.mkdir()
    taken = opened_memory(memory_folders(folder, memory))
    with capture_logs() as lines:
        beside = opened_memory(memory_folders(folder, memory))

    assert beside.path.is_relative_to(folder)
    assert [line["log_level"] for line in lines] == ["error"]
    beside.close()
    taken.close()


class Failing(FileCalls):
    """The real calls, of which one fails for as long as it is told to, or writes half."""

    def __init__(self, name: str = "", code: int = errno.ENOSPC) -> None:
        self.name, self.code = name, code
        self.short = False

    def _tried(self, name: str, call: Callable[..., Any], *given: Any) -> Any:
        if self.name == name:
            raise OSError(self.code, "injected")
        return call(*given)

    def open(self, path: Path) -> int:
        return int(self._tried("open", super().open, path))

    def lock(self, file: int) -> None:
        self._tried("lock", super().lock, file)

    def size(self, file: int) -> int:
        return int(self._tried("size", super().size, file))

    def read(self, file: int, count: int, offset: int) -> bytes:
        return bytes(self._tried("read", super().read, file, count, offset))

    def write(self, file: int, data: bytes, offset: int) -> int:
        if self.short:
            return super().write(file, data[: len(data) // 2], offset)
        return int(self._tried("write", super().write, file, data, offset))

    def truncate(self, file: int, size: int) -> None:
        self._tried("truncate", super().truncate, file, size)

    def is_at(self, path: Path, file: int) -> bool:
        return bool(self._tried("is_at", super().is_at, path, file))


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("cut_fails", [True, False])
def test_a_write_that_fails_or_is_torn_leaves_room_for_the_next(
    tmp_path: Path, *, short: bool, cut_fails: bool
) -> None:
    calls = Failing()
    memory = MemoryFile(tmp_path / "memory", calls)
    memory.append(frame(1, b"one"))
    calls.short, calls.name = short, "" if short else "write"
    with pytest.raises(OSError, match=r"injected|were written"):
        memory.append(frame(2, bytes(1000)))
    calls.short, calls.name = False, "truncate" if cut_fails else ""
    memory.append(frame(3, b"three"))
    memory.append(frame(4, b"four"))

    assert numbers(memory) == [1, 3, 4]
    memory.close()
    again = MemoryFile(tmp_path / "memory")
    assert numbers(again) == [1, 3, 4], "the half of a record behind them is none"
    again.append(frame(5, b"five"))
    assert numbers(again) == [1, 3, 4, 5]
    again.close()


def test_a_cut_that_fails_in_a_drop_loses_nothing(tmp_path: Path) -> None:
    calls = Failing()
    memory = MemoryFile(tmp_path / "memory", calls)
    for number in range(10):
        memory.append(frame(number, b"x"))
    calls.name = "truncate"
    with pytest.raises(OSError, match="injected"):
        memory.drop([frame(9, b"x")])
    memory.append(frame(10, b"x"))
    assert {9, 10} <= set(numbers(memory))
    calls.name = ""
    memory.drop([frame(9, b"x"), frame(10, b"x")])

    assert numbers(memory) == [9, 10]
    memory.close()


@pytest.mark.parametrize("name", ["open", "lock", "size"])
def test_an_opening_that_fails_holds_no_descriptor(tmp_path: Path, name: str) -> None:
    def held() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = held()
    with pytest.raises(OSError, match="injected"):
        MemoryFile(tmp_path / "memory", Failing(name, errno.EMFILE))

    assert held() == before


CALLS = [
    ("open", errno.EMFILE), ("lock", errno.EIO), ("size", errno.EIO), ("read", errno.EIO), ("write", errno.ENOSPC),
    ("truncate", errno.EIO), ("is_at", errno.EIO),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code"), CALLS)
async def test_whichever_call_fails_every_record_is_delivered_and_the_journal_goes_on(
    tmp_path: Path, name: str, code: int
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    calls = Failing()
    kept = Journal(tmp_path / "journal", max_bytes=1 << 30, memory=memory, calls=calls)
    await kept.open()
    kept.append(b"before")
    calls.name, calls.code = name, code
    with capture_logs():
        (file,) = memory.glob(f"*/{NAME}")
        file.unlink()  # so that it is opened and locked again, too
        for n in range(200):
            assert kept.append(b"%1000d" % n)
        await until(lambda: kept.committed == kept.last)
        assert len(await kept.read(1000)) == 201
        await kept.release(201)
        await kept.settle()
        calls.name = ""
        assert kept.append(b"after")
        assert [each.payload for each in await kept.read(10)] == [b"after"]
        await kept.close()
    again = Journal(tmp_path / "journal", max_bytes=1 << 30, memory=memory)
    await again.open()

    assert [each.payload for each in await again.read(10)] == [b"after"]
    assert (again.lost, again.damaged, again.failing) == (0, 0, "")
    await again.close()


async def test_a_file_that_is_removed_while_it_is_in_use_is_noticed_and_made_anew(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    kept = Journal(tmp_path / "journal", max_bytes=1 << 30, memory=memory)
    await kept.open()
    (file,) = memory.glob(f"*/{NAME}")
    file.unlink()
    file.parent.rmdir()
    kept._commit = lambda: None  # type: ignore[method-assign]
    with capture_logs() as lines:
        kept.append(b"a")
        kept._newest.check()

    assert [each["log_level"] for each in lines] == ["error"]
    assert b"a" in file.read_bytes()
    kept.append(b"b")
    assert b"b" in file.read_bytes()
    await kept.close()


async def test_what_an_earlier_process_left_beside_the_journal_is_found_when_there_is_memory_again(
    tmp_path: Path,
) -> None:
    memory, folder = tmp_path / "memory", tmp_path / "journal"
    folder.mkdir()
    beside = opened_memory(memory_folders(folder, None))
    beside.append(frame(1, b"beside"))
    beside.close()
    memory.mkdir()
    kept = Journal(folder, max_bytes=1 << 30, memory=memory)
    with capture_logs():
        await kept.open()

    assert [each.payload for each in await kept.read(10)] == [b"beside"]
    assert not (folder / "front" / NAME).exists()
    await kept.close()
