import os
import time
from pathlib import Path

import pytest

from batkol.store.journal.records import AnyRecord, encode
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.cleanup import clean_up_once
from batkol.store.postgres.numbers import digest
from batkol.store.postgres.retention import DELETING, retain
from support.postgres.records import CALLER, began, heard, over, replied, revised, sid, status, tool, who
from support.postgres.sql import connection, sql
from support.postgres.store_parts import Kept

DAY = 86400.0
OLD, YOUNG = 40 * DAY, 20 * DAY


SUMMARIES = """
INSERT INTO summaries (call_sid, agent, state, text, attempts, due_at, of_end)
SELECT call_sid, agent, 'done', 'סיכום', 1, now(), ended_at FROM calls
"""


async def fill(kept: Kept, *, calls: int = 5) -> None:
    """Some calls of 40 days ago, and as many of 20 days ago, each of a caller of its own."""
    now = time.time()
    records: list[AnyRecord] = []
    for call in range(2 * calls):
        of = who(call, started_at=now - (OLD if call < calls else YOUNG), caller=f"+97250{call}")
        records += [began(of), heard(0, of), heard(1, of), revised(0, of), replied(1, of), tool(of), over(of)]
    async with kept.database.writing.begin() as open_:
        await save(open_, batch_of(records))
    await sql(kept.where, SUMMARIES)
    await sql(kept.where, "UPDATE calls SET updated_at = started_at")  # the database heard of them then, and not today


async def left(kept: Kept) -> dict[str, int]:
    tables = ("calls", "utterances", "events", "leads")
    return {table: len(await sql(kept.where, f"SELECT 1 FROM {table}")) for table in tables}


async def test_what_is_too_old_goes_and_everything_else_stays(kept: Kept) -> None:
    await fill(kept)
    gone = await retain(kept.database.reading, 30, batch=2, pause_s=0)

    assert gone == {"calls": 5, "leads": 5, "call_statuses": 0, "erasures": 0, "journals": 0, "outbox": 0, "sinks": 0}
    assert await left(kept) == {"calls": 5, "utterances": 10, "events": 15, "leads": 5}
    agents = [len(await sql(kept.where, f"SELECT 1 FROM {table}")) for table in ("replies", "tool_calls", "summaries")]
    assert agents == [5, 5, 5]
    assert [row["call_sid"] for row in await sql(kept.where, "SELECT call_sid FROM calls ORDER BY 1")] == [
        sid(call) for call in range(5, 10)
    ]
    assert await retain(kept.database.reading, 30, pause_s=0) == dict.fromkeys(gone, 0)


@pytest.mark.parametrize("ahead_s", [-1000 * DAY, 1000 * DAY])
async def test_a_call_of_a_pod_whose_clock_has_jumped_goes_when_the_database_has_known_it_for_so_long(
    kept: Kept, ahead_s: float
) -> None:
    of = who(0, started_at=time.time() + ahead_s)
    async with kept.database.writing.begin() as open_:
        await save(open_, batch_of([began(of), heard(0, of), over(of)]))
    await retain(kept.database.reading, 30, pause_s=0)
    assert await left(kept) == {"calls": 1, "utterances": 1, "events": 2, "leads": 1}

    await sql(kept.where, "UPDATE calls SET updated_at = now() - interval '31 days'")
    await retain(kept.database.reading, 30, pause_s=0)
    assert await left(kept) == {"calls": 0, "utterances": 0, "events": 0, "leads": 0}


async def test_nothing_goes_where_nothing_was_said_about_it(kept: Kept) -> None:
    await fill(kept)
    await retain(kept.database.reading, 0, pause_s=0)

    assert (await left(kept))["calls"] == 10


async def test_one_pod_does_it_at_a_time(kept: Kept) -> None:
    await fill(kept)
    async with connection(kept.where) as other:
        await other.execute("SELECT pg_advisory_lock($1)", DELETING)
        assert await retain(kept.database.reading, 30, pause_s=0) == {}
        assert (await left(kept))["calls"] == 10
    assert (await retain(kept.database.reading, 30, pause_s=0))["calls"] == 5
    assert (await retain(kept.database.reading, 10, pause_s=0))["calls"] == 5, "the lock was given back"


async def test_a_call_that_is_being_written_to_waits_for_the_next_time(kept: Kept) -> None:
    await fill(kept)
    async with connection(kept.where) as other, other.transaction():
        await other.execute("SELECT 1 FROM calls WHERE call_sid = $1 FOR UPDATE", sid(0))
        assert (await retain(kept.database.reading, 30, batch=2, pause_s=0))["calls"] == 4
    assert (await retain(kept.database.reading, 30, pause_s=0))["calls"] == 1


async def test_erasures_are_forgotten_when_no_journal_can_hold_the_number_any_more(kept: Kept) -> None:
    await sql(kept.where, "INSERT INTO erasures VALUES ($1, now() - interval '91 days')", digest("+1"))
    await sql(kept.where, "INSERT INTO erasures VALUES ($1, now() - interval '89 days')", digest("+2"))
    await retain(kept.database.reading, 0, pause_s=0)

    assert [row["digest"] for row in await sql(kept.where, "SELECT digest FROM erasures")] == [digest("+2")]


@pytest.mark.parametrize(("days", "left_days"), [(0, [89]), (30, []), (120, [89])])
async def test_what_twilio_told_is_kept_as_long_as_a_journal_may_bring_its_call(
    kept: Kept, days: int, left_days: list[int]
) -> None:
    for age in (89, 91):
        values = f"('CA{age}', 'AC', 'completed', now(), NULL, now() - interval '{age} days')"
        await sql(kept.where, f"INSERT INTO call_statuses VALUES {values}")
    await retain(kept.database.reading, days, pause_s=0)

    rows = await sql(kept.where, "SELECT call_sid FROM call_statuses")
    assert [row["call_sid"] for row in rows] == [f"CA{age}" for age in left_days]


async def test_what_was_set_aside_goes_when_it_is_old_or_erased(kept: Kept, tmp_path: Path) -> None:
    now = time.time()
    ages = {1: OLD, 2: YOUNG, 3: YOUNG}
    for call, age in ages.items():
        of = who(call, caller=CALLER if call == 3 else "+1", started_at=now - age)
        kept.dead_letters.add(call, encode(heard(0, of, at=now - age)), "why")
    kept.dead_letters.add(4, b"no record", "why")
    kept.dead_letters.add(5, encode(status(at=now - OLD)), "why")
    kept.dead_letters.add(6, encode(status(at=now - YOUNG)), "why")
    await sql(kept.where, "INSERT INTO erasures VALUES ($1, now())", digest(CALLER))
    await clean_up_once(kept.database, kept.dead_letters, 30)

    lines = kept.dead_letters.path.read_text().splitlines()
    assert [f'"number":{number},' in line for number, line in zip((2, 4, 6), lines, strict=True)] == [True] * 3


async def test_a_damaged_journal_file_goes_when_it_is_old_or_a_number_was_erased_since(kept: Kept) -> None:
    """Of what cannot be read in it, no one can say whose it is."""
    aside = kept.dead_letters.path.with_name("journal.sqlite.damaged")
    for age, erased, stays in ((1.0, False, True), (8 * DAY, False, False), (60.0, True, False)):
        aside.write_bytes("סוד".encode())
        os.utime(aside, (time.time() - age,) * 2)
        if erased:
            await sql(kept.where, "INSERT INTO erasures VALUES ($1, now())", digest("+1"))
        await clean_up_once(kept.database, kept.dead_letters, 0)
        assert aside.exists() is stays
