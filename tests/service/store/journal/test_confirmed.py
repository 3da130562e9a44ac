"""What the database has confirmed, kept beside the journal for the next process."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.store.journal.confirmed import FILE, Confirmed
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.order import Confirmation
from support.network.ports import free_port


async def opened(folder: Path) -> Confirmed:
    made = Confirmed(folder)
    await made.open()
    return made


async def test_the_next_process_knows_it_and_is_the_same_journal(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    for delivered in range(0, 50, 5):
        first.learn(Confirmation(delivered or None, 7), records=5)
    await first.close()
    again = await opened(tmp_path)
    await again.close()

    assert (again.journal, again.delivered, again.erasure) == (first.journal, 50, 7)
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


async def test_a_file_that_is_none_is_a_new_journal_which_knows_nothing(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    first.learn(Confirmation(None, 7), records=5)
    await first.close()
    data = bytearray((tmp_path / FILE).read_bytes())
    for at in range(len(data)):
        (tmp_path / FILE).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        again = await opened(tmp_path)
        await again.close()
        assert (again.delivered, again.erasure) == (0, 0)
        assert again.journal != first.journal


async def test_a_commit_of_which_no_answer_came_is_no_loss_and_neither_is_a_journal_that_was_restored(
    tmp_path: Path,
) -> None:
    known = await opened(tmp_path)
    known.learn(Confirmation(None, 1), records=5)
    with capture_logs() as lines:
        known.learn(Confirmation(12, 1), records=3)
    await known.close()

    assert (known.delivered, known.went_back, lines) == (15, 0, [])


@pytest.mark.parametrize(
    ("found", "missing"), [(Confirmation(4, 9), 6), (Confirmation(None, 9), 10), (Confirmation(10, 8), 0)]
)
async def test_a_database_that_has_less_than_it_confirmed_is_said_once(
    tmp_path: Path, found: Confirmation, missing: int
) -> None:
    known = await opened(tmp_path)
    known.learn(Confirmation(None, 9), records=10)
    with capture_logs() as lines:
        for _ in range(3):
            known.learn(found)
    await known.close()

    assert [(line["log_level"], line["missing"]) for line in lines] == [("error", missing)]
    assert (known.went_back, known.erasure) == (1, found.erasure)


async def test_a_disk_that_takes_nothing_is_said_once_and_holds_up_nothing(tmp_path: Path) -> None:
    known = await opened(tmp_path / "nowhere")
    with capture_logs() as lines:
        for records in range(1, 4):
            known.learn(Confirmation(known.delivered, 9), records=records)
            await known.close()

    assert (known.delivered, known.erasure) == (6, 9)
    assert len([line for line in lines if "cannot be noted" in line["event"]]) <= 1


async def test_a_database_that_does_not_answer_is_said_once_in_an_outage_and_nothing_is_forgotten(
    tmp_path: Path,
) -> None:
    known = await opened(tmp_path)
    known.learn(Confirmation(None, 9), records=10)
    away = Database(
        address(f"postgresql://postgres@127.0.0.1:{free_port()}/none"), patience=DatabaseTimeouts(1.0, 1.0, 1.0)
    )
    with capture_logs() as lines:
        for _ in range(3):
            await known.refresh(away)
    await away.close()
    await known.close()

    assert len(lines) == 1
    assert "which erasure was the newest" in lines[0]["event"]
    assert "Refused" in lines[0]["fault"]
    assert lines[0]["remedy"].startswith("no server listens at the host and port of DATABASE_URL")
    assert (known.delivered, known.erasure, known.went_back) == (10, 9, 0)


async def test_writes_that_come_together_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = await opened(tmp_path)
    await known.close()
    writes = 0
    real = Confirmed._write

    def counted(self: Confirmed, fields: bytes) -> None:
        nonlocal writes
        writes += 1
        real(self, fields)

    monkeypatch.setattr(Confirmed, "_write", counted)
    for records in range(1, 101):
        known.learn(Confirmation(known.delivered, 9), records=records)
    await known.close()
    again = await opened(tmp_path)
    await again.close()

    assert writes == 2
    assert again.delivered == sum(range(1, 101))
