from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.store.framing import frame
from batkol.store.front import Front, front_of


def test_what_stands_in_it_is_there_for_the_next_process(tmp_path: Path) -> None:
    front = Front(tmp_path / "front")
    front.append(frame(1, b"one"))
    front.append(frame(2, b"two"))
    front.close()

    again = Front(tmp_path / "front")
    assert [(each.number, each.payload) for each in again.left()] == [(1, b"one"), (2, b"two")]
    again.drop()
    assert again.left() == []
    again.append(frame(3, b"three"))
    assert [each.number for each in again.left()] == [3]
    again.close()


def test_an_empty_one_leaves_nothing_behind(tmp_path: Path) -> None:
    front = Front(tmp_path / "front")
    front.append(frame(1, b"one"))
    front.drop()
    front.close()

    assert list(tmp_path.iterdir()) == []


def test_it_is_one_process_s_own(tmp_path: Path) -> None:
    front = Front(tmp_path / "front")
    with pytest.raises(BlockingIOError):
        Front(tmp_path / "front")
    front.close()


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    front = Front(tmp_path / "front")

    assert front.path.parent.stat().st_mode & 0o777 == 0o700
    assert front.path.stat().st_mode & 0o777 == 0o600
    front.close()
    (tmp_path / "front").mkdir(mode=0o755)
    with pytest.raises(PermissionError):
        Front(tmp_path / "front")


def test_its_name_in_memory_stays_with_the_journal_and_is_no_other_journal_s(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "memory")]
    for folder in folders:
        folder.mkdir()
    a, b, memory = folders
    first, other = front_of(a, memory), front_of(b, memory)

    assert first.path.parent.parent == other.path.parent.parent == memory
    assert first.path != other.path
    first.append(frame(1, b"one"))
    first.close()
    again = front_of(a, memory)
    assert [each.number for each in again.left()] == [1]
    again.close()
    other.close()


def test_without_memory_it_lies_beside_the_journal(tmp_path: Path) -> None:
    front = front_of(tmp_path, tmp_path / "no such folder")

    assert front.path.is_relative_to(tmp_path)
    front.close()


def test_where_memory_is_not_to_be_had_it_says_so_and_lies_beside_the_journal(tmp_path: Path) -> None:
    memory, folder = tmp_path / "memory", tmp_path / "journal"
    memory.mkdir()
    folder.mkdir()
    taken = front_of(folder, memory)
    with capture_logs() as lines:
        front = front_of(folder, memory)

    assert front.path.is_relative_to(folder)
    assert [line["log_level"] for line in lines] == ["error"]
    front.close()
    taken.close()
