from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.store.journal import dead_letters
from batkol.store.journal.dead_letters import DeadLetters
from batkol.store.journal.records import encode
from support.postgres.records import heard


def test_a_record_is_set_aside_loudly_and_for_nobody_else_s_eyes(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path)
    with capture_logs() as lines:
        letters.add(7, encode(heard()), "DataError (SQLSTATE 22P05)")

    assert letters.count == 1
    assert letters.path.stat().st_mode & 0o777 == 0o600
    assert [(line["log_level"], line["record"], line["why"]) for line in lines] == [
        ("error", 7, "DataError (SQLSTATE 22P05)")
    ]
    assert "משפט" not in str(lines)


def test_those_that_are_to_go_go_and_the_others_are_still_read(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path)
    with capture_logs():
        for number in range(4):
            letters.add(number, encode(heard(number)), "why")
        letters.add(4, b"no record", "why")

    def is_to_go(record: object) -> bool:
        return record is None or record in (heard(1), heard(3))

    assert letters.sweep(is_to_go) == 3
    assert letters.sweep(is_to_go) == 0
    assert letters.sweep(lambda record: record in (heard(0), heard(2))) == 2
    assert letters.path.read_bytes() == b""


def test_where_there_is_no_room_the_record_is_counted_as_lost_and_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = DeadLetters(tmp_path)
    monkeypatch.setattr(dead_letters, "MOST_BYTES", 1000)
    with capture_logs() as lines:
        for number in range(5):
            letters.add(number, encode(heard()), "why")

    assert letters.path.stat().st_size <= 1000
    assert letters.count > 0
    assert letters.lost > 0
    assert letters.count + letters.lost == 5
    assert sum("LOST" in line["event"] for line in lines) == letters.lost


def test_a_record_that_the_disk_does_not_take_is_not_lost_but_raised(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "later")
    with pytest.raises(FileNotFoundError):
        letters.add(1, b"", "why")
    (tmp_path / "later").mkdir()
    with capture_logs():
        letters.add(1, b"", "why")

    assert (letters.count, letters.lost) == (1, 0)


def test_nothing_set_aside_is_nothing_to_sweep(tmp_path: Path) -> None:
    assert DeadLetters(tmp_path).sweep(lambda _: True) == 0
