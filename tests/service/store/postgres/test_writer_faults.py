"""Whatever ends a turn of the writer, the next goes on: nothing is lost, nothing doubled, and the fault is named."""

import asyncio
import errno
import time
from collections.abc import Coroutine
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from structlog.testing import capture_logs

from batkol.backoff import Backoff
from batkol.store.journal import Journal
from batkol.store.journal.framing import Frame
from batkol.store.journal.records import FinalRecord
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres import rows, writer
from batkol.store.postgres.address import Address
from batkol.store.postgres.writer import MOST, WriterState
from support.postgres.records import finals_of, heard, sid, talk, who
from support.postgres.sql import connection, everything, sql, texts
from support.postgres.store_parts import Kept
from support.time.waiting import eventually, until

T = TypeVar("T")
DISK = OSError(errno.EIO, "Input/output error")


class Troubled(Journal):
    """A journal whose disk fails, or which has a fault of its own: at one of its calls, before or after it is done."""

    at = ""
    error: BaseException = DISK
    done_first = False
    times = 0

    async def read(self, most: int) -> list[Frame]:
        return await self._unless_troubled("read", super().read(most))

    async def release(self, number: int) -> None:
        await self._unless_troubled("release", super().release(number))

    async def settle(self) -> None:
        await self._unless_troubled("settle", super().settle())

    async def _unless_troubled(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        if name != self.at or not self.times:
            return await work
        self.times -= 1
        if self.done_first:
            await work
        else:
            work.close()
        raise self.error


async def troubled(where: Address, folder: Path) -> tuple[Kept, Troubled]:
    kept = Kept(where, folder, kind=Troubled)
    await kept.open()
    assert isinstance(kept.journal, Troubled)
    return kept, kept.journal


TELLING = [("read", DISK, False), ("release", asyncio.CancelledError(), True), ("settle", DISK, False)]
FAULTS = [
    *TELLING,
    *(
        pytest.param(at, error, done_first, marks=pytest.mark.nightly)
        for at, error, done_first in product(
            ("read", "release", "settle"), (DISK, IndexError("out of range"), asyncio.CancelledError()), (True, False)
        )
        if (at, type(error), done_first) not in {(at, type(error), done) for at, error, done in TELLING}
    ),
]


@pytest.mark.parametrize(("at", "error", "done_first"), FAULTS)
async def test_a_journal_that_fails_ends_nothing(
    where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at: str, error: BaseException, done_first: bool
) -> None:
    monkeypatch.setattr(writer, "SETTLE_S", 0.02)
    monkeypatch.setattr(writer, "RETRY", Backoff(first_s=0.001, longest_s=0.001))
    kept, journal = await troubled(where, tmp_path)
    journal.at, journal.error, journal.done_first, journal.times = at, error, done_first, 1
    with capture_logs() as lines:
        kept.say(talk(0))
        kept.write()
        await until(lambda: not journal.times)
        kept.say(talk(1))
        await kept.written()
        await until(lambda: not kept.writer.fault)
    await kept.close()

    assert await texts(where) == finals_of(0, 1)
    assert [lead["calls"] for lead in await sql(where, "SELECT calls FROM leads")] == [2]
    faults = [line["fault"] for line in lines if "fault" in line]
    assert 1 <= len(faults) <= 2, "said, and not at every attempt"
    assert type(error).__name__ in faults[0] or "Input/output error" in faults[0]
    assert not any("the database does not accept" in line["event"] for line in lines), "it does"


async def test_while_the_journal_cannot_let_go_what_comes_is_written_and_the_fault_is_named(
    where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SETTLE_S", 0.02)
    kept, journal = await troubled(where, tmp_path)
    journal.at, journal.done_first, journal.times = "release", True, 10**9
    for call in range(3):
        kept.say(talk(call))
        await kept.written()
    await until(lambda: "journal's disk" in kept.writer.fault)

    assert await texts(where) == finals_of(0, 1, 2)
    assert kept.writer.retries == 0
    journal.times = 0
    await until(lambda: not kept.writer.fault)
    await kept.close()


async def test_a_port_that_is_none_is_a_fault_with_a_name(where: Address, tmp_path: Path) -> None:
    kept = Kept(msgspec.structs.replace(where, dsn="postgresql://postgres@127.0.0.1:70000/none"), tmp_path)
    await kept.open()
    kept.say(talk())
    kept.write()
    await until(lambda: kept.writer.retries >= 2 and kept.writer.state is WriterState.WAITING)
    state, fault, age_s = kept.writer.state, kept.writer.fault, kept.writer.age_s
    await kept.close()
    again = Kept(where, tmp_path)
    await again.open()
    await again.written()
    await again.close()

    assert state is WriterState.WAITING
    assert fault == "OverflowError in the driver"
    assert age_s > 0
    assert await texts(where) == finals_of(0)


class Killed(BaseException):
    """What no `except Exception` holds."""


async def test_a_writer_that_was_ended_says_by_what_and_goes_on_when_it_is_run_again(
    where: Address, tmp_path: Path
) -> None:
    kept, journal = await troubled(where, tmp_path)
    journal.at, journal.error, journal.times = "release", Killed(), 1
    kept.say(talk(0))
    with pytest.raises(Killed):
        await kept.writer.run()
    assert (kept.writer.state, kept.writer.fault) == (WriterState.STOPPED, "the writer ended: Killed")
    assert kept.journal.waiting == 5
    assert kept.writer.age_s > 0
    kept.say(talk(1))
    await kept.written()

    assert kept.writer.fault == ""
    assert await texts(where) == finals_of(0, 1)
    assert [lead["calls"] for lead in await sql(where, "SELECT calls FROM leads")] == [2]
    await kept.close()


async def test_a_writer_that_was_cancelled_in_the_middle_of_a_batch_goes_on_when_it_is_run_again(kept: Kept) -> None:
    async with connection(kept.where) as other, other.transaction():
        await other.execute("LOCK TABLE utterances")  # calls are written before: the batch is half done
        kept.say(talk(0))
        running = asyncio.create_task(kept.writer.run())
        waiting = "SELECT 1 FROM pg_locks WHERE relation = 'utterances'::regclass AND NOT granted"
        await eventually(lambda: other.fetch(waiting))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await kept.written()

    assert await texts(kept.where) == finals_of(0)
    assert [lead["calls"] for lead in await sql(kept.where, "SELECT calls FROM leads")] == [1]


async def test_what_waits_grows_old_even_if_nobody_writes(kept: Kept) -> None:
    assert kept.writer.age_s == 0.0
    kept.say(talk())
    await until(lambda: kept.writer.age_s > 0)

    assert kept.writer.state is WriterState.STOPPED
    assert kept.journal.waiting == 5


async def test_what_an_earlier_run_left_grows_old_too(where: Address, tmp_path: Path) -> None:
    first = Kept(where, tmp_path)
    await first.open()
    first.say(talk())
    await first.close()
    again = Kept(where, tmp_path)
    await again.open()
    await until(lambda: again.writer.age_s > 0)
    assert again.writer.state is WriterState.STOPPED
    await again.close()


async def tried_twice(kept: Kept) -> None:
    before = kept.writer.retries
    await until(lambda: kept.writer.retries >= before + 2)


async def test_a_clock_that_jumps_makes_nothing_that_waits_older_or_younger(
    where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what this process was told, nor what it found when the clock was still right."""
    monkeypatch.setattr(writer, "RETRY", Backoff(first_s=0.001, longest_s=0.001))
    real, ages = time.time, []
    first = Kept(where, tmp_path)
    await first.open()
    first.say([heard(at=real() - 100.0)])
    await first.close()
    kept = Kept(msgspec.structs.replace(where, dsn="postgresql://postgres@127.0.0.1:1/none"), tmp_path)
    await kept.open()
    kept.write()
    await until(lambda: kept.writer.retries >= 2)
    for jump_s in (-86400.0, 0.0, 86400.0):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: real() + jump_s)
        await tried_twice(kept)
        ages.append(kept.writer.age_s)
    monkeypatch.setattr(time, "time", real)
    await kept.close()

    assert all(99 < age < 3600 for age in ages), ages


async def test_a_record_that_our_own_code_chokes_on_is_set_aside_alone(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = rows._final

    def chokes(record: FinalRecord) -> rows.Row:
        if record.text == "סוד":
            raise TypeError(f"cannot count in {record.text}")
        return good(record)

    monkeypatch.setattr(rows, "_final", chokes)
    poison = heard(9, who(0), text="סוד")
    kept.say([*talk(0), poison, *talk(1)])
    with capture_logs() as lines:
        await kept.written()

    assert await texts(kept.where) == finals_of(0, 1)
    (aside,) = [msgspec.json.decode(line) for line in kept.dead_letters.path.read_bytes().splitlines()]
    assert aside["number"] == 6
    assert aside["why"].startswith("TypeError in ")
    assert kept.writer.retries == 0
    assert "סוד" not in str(lines)


async def test_a_record_that_cannot_be_set_aside_yet_holds_on_until_it_can(kept: Kept) -> None:
    in_the_way = kept.dead_letters.path
    in_the_way.mkdir()
    kept.say(talk(0))
    assert kept.journal.append(b"no record")
    kept.say(talk(1))
    kept.write()
    await until(lambda: "cannot be set aside" in kept.writer.fault)
    in_the_way.rmdir()
    await kept.written()

    assert (kept.dead_letters.count, kept.dead_letters.lost) == (1, 0)
    assert await texts(kept.where) == finals_of(0, 1)


async def test_a_record_that_can_never_be_set_aside_is_counted_as_lost_and_the_others_go_on(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ASIDE_ATTEMPTS", 2)
    kept.dead_letters.path.mkdir()
    kept.journal.append(b"no record")
    kept.say(talk(0))
    await kept.written()

    assert (kept.dead_letters.count, kept.dead_letters.lost) == (0, 1)
    assert await texts(kept.where) == finals_of(0)


REFUSES_TWICE = """
CREATE SEQUENCE tries;
CREATE FUNCTION refuse_twice() RETURNS trigger AS $$ BEGIN
    IF nextval('tries') <= 2 THEN RAISE SQLSTATE '22P02'; END IF;
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse_twice BEFORE INSERT ON utterances FOR EACH ROW EXECUTE FUNCTION refuse_twice();
"""


async def test_a_record_that_is_refused_and_then_taken_is_not_set_aside(kept: Kept) -> None:
    """A network that damages what passes it makes good records look bad."""
    async with connection(kept.where) as other:
        await other.execute(REFUSES_TWICE)
    kept.say([heard()])
    await kept.written()

    assert await texts(kept.where) == [(sid(), 0, "משפט 0")]
    assert kept.dead_letters.count == 0


SLOW = """
CREATE FUNCTION slow() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END $$ LANGUAGE plpgsql;
CREATE TRIGGER slow BEFORE INSERT ON utterances FOR EACH ROW EXECUTE FUNCTION slow();
"""
IN_ONE = "SELECT count(*) AS rows FROM utterances WHERE index >= $1 GROUP BY xmin::text ORDER BY rows DESC LIMIT 1"


async def test_a_database_too_slow_for_a_whole_batch_gets_what_it_can_take_and_whole_ones_when_it_is_quick_again(
    where: Address, tmp_path: Path
) -> None:
    """At most 250 rows a second under a limit of 0.4 s, and 150 records wait: 100 of them are too many at once."""
    async with connection(where) as other:
        await other.execute(SLOW)
    kept = Kept(where, tmp_path, patience=DatabaseTimeouts(connect_s=5.0, statement_s=0.4, command_s=5.0))
    await kept.open()
    kept.say(heard(index) for index in range(150))
    with capture_logs():
        await kept.written()
    (slow,) = await sql(where, IN_ONE, 0)
    async with connection(where) as other:
        await other.execute("DROP TRIGGER slow ON utterances")
    kept.say(heard(index) for index in range(150, 150 + 6 * MOST))
    await kept.written()
    (quick,) = await sql(where, IN_ONE, 150)
    await kept.close()

    assert [index for _, index, _ in await texts(where)] == list(range(150 + 6 * MOST))
    assert 1 <= slow["rows"] <= 100
    assert quick["rows"] == MOST
    assert kept.dead_letters.count == 0


async def test_the_same_records_in_batches_of_any_size_are_the_same_rows(
    where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST", 1)
    kept = Kept(where, tmp_path)
    await kept.open()
    kept.say(talk(0))
    await kept.written()
    one_by_one = await everything(where)
    await sql(where, "TRUNCATE calls, leads CASCADE")
    monkeypatch.setattr(writer, "MOST", 500)
    kept.say(talk(0))
    await kept.written()
    await kept.close()

    assert one_by_one == await everything(where)
