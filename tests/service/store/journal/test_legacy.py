"""A journal that 0.1.0 itself wrote, and was killed over: 22 records, 4 of them released, the last two in memory."""

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.store.journal import Journal, legacy
from support.files.search import holding

LEFT = Path(__file__).parent / "left_by_0_1_0"


@pytest.fixture
def left(tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(LEFT, tmp_path / "journal"))
    (copy / "front").chmod(0o700)  # as 0.1.0 made it, which a checkout does not keep
    return copy


def numbers(payloads: list[bytes]) -> list[int]:
    return [int(each.split()[1]) for each in payloads]


def read(folder: Path) -> legacy.Legacy:
    return legacy.read(folder, [folder / "front"])


def test_what_was_not_released_is_read_from_disk_and_memory(left: Path) -> None:
    found = read(left)

    assert (numbers(found.payloads), found.lost) == (list(range(5, 23)), 0)
    assert {path.name for path in found.files} >= {"released", "front"}


def test_a_rotten_byte_costs_one_record_and_is_counted(left: Path) -> None:
    (left / "front" / "front").unlink()
    for path in left.glob("*.journal"):
        data = bytearray(path.read_bytes())
        if (at := data.find(b"record 13 ")) >= 0:
            data[at] ^= 1
            path.write_bytes(data)
    found = read(left)

    assert (numbers(found.payloads), found.lost) == ([n for n in range(5, 21) if n != 13], 1)


def test_a_file_that_was_removed_by_hand_is_counted_and_the_others_are_read(left: Path) -> None:
    files = sorted(left.glob("*.journal"))
    (left / "front" / "front").unlink()
    files[1].unlink()
    gone = range(int(files[1].stem), int(files[2].stem))
    found = read(left)

    assert numbers(found.payloads) == [n for n in range(5, 21) if n not in gone]
    assert found.lost == len(gone)


def test_a_torn_end_is_no_record(left: Path) -> None:
    """The newest record, which was in memory alone."""
    front = left / "front" / "front"
    front.write_bytes(front.read_bytes()[:-3])

    assert (numbers(read(left).payloads), read(left).lost) == (list(range(5, 22)), 0)


def test_a_stray_file_is_left_alone_and_named(left: Path) -> None:
    (left / "notes.journal").write_text("mine")
    (left / "1.journal").write_text("mine")
    with capture_logs() as lines:
        found = read(left)

    assert len(found.payloads) == 18
    assert [line["file"] for line in lines] == ["1.journal", "notes.journal"]
    legacy.removed(found.files)
    assert {path.name for path in left.iterdir()} == {"1.journal", "notes.journal"}


async def test_it_is_imported_once_and_nothing_of_it_is_left(left: Path) -> None:
    kept = Journal(left, max_bytes=1 << 30)
    with capture_logs() as lines:
        await kept.open()

    assert numbers([each.payload for each in await kept.read(100)]) == list(range(5, 23))
    assert {"records": 18, "event": "[STORE] journal of 0.1.0 imported", "log_level": "info"} in lines
    assert list(left.glob("*.journal")) == []
    kept.append(b"record 23 ")
    assert numbers([each.payload for each in await kept.read(100)])[-1] == 23
    await kept.close()
    again = Journal(left, max_bytes=1 << 30)
    await again.open()
    assert numbers([each.payload for each in await again.read(100)]) == list(range(5, 24))
    await again.release(again.last)
    await again.settle()
    assert holding(left, b"record ") == []
    await again.close()
