from pathlib import Path

import pytest

from batkol.store.journal.mark import MarkFile, Position, is_sound


def test_what_is_written_is_read(tmp_path: Path) -> None:
    mark = MarkFile(tmp_path / "mark")
    assert mark.read() is None
    mark.write(Position(1, 2, 3, 4))
    mark.write(Position(5, 6, 7, 8))

    assert mark.read() == Position(5, 6, 7, 8)
    mark.close()


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_mark_that_was_changed_is_none(tmp_path: Path, at: int) -> None:
    path = tmp_path / "mark"
    mark = MarkFile(path)
    mark.write(Position(1, 2, 3, 4))
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)

    assert mark.read() is None
    path.write_bytes(data[:at])
    assert mark.read() is None
    mark.close()


def test_of_rows_there_wait_as_many_as_there_are_and_no_more_than_were_numbered() -> None:
    assert Position(released=0, deleted=0, last=10, number=10).waiting(4) == 6
    assert Position(released=0, deleted=7, last=10, number=100).waiting(4) == 3
    assert Position(released=0, deleted=0, last=10, number=10).waiting(12) == 0


@pytest.mark.parametrize(
    "row", [(None, 0, 0, 0, 0), (0, 0, 0, "0", 0), (-1, 0, 0, 0, 0), (0, 0, 0, 0, 1), (1 << 70,) * 5]
)
def test_a_damaged_row_is_no_position(row: tuple[object, ...]) -> None:
    assert not is_sound(row)
    assert is_sound((*Position(1, 2, 3, 4), Position(1, 2, 3, 4).checksum))
