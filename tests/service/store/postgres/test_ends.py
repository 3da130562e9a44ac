"""How a call ends whose own end never came, on a real Postgres, whatever comes first."""

import asyncio
import re
import time
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.journal.record import Who
from batkol.store.journal.records import AnyRecord
from batkol.store.postgres import cleanup
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import engine_without_timeout
from batkol.store.postgres.ends import CLOSE_LOST, LOST
from batkol.store.postgres.open_calls import Closed, close_open
from support.postgres.emptying import empty
from support.postgres.records import AT, began, heard, over, replying, revised, sid, status, who
from support.postgres.sql import age, connection, sql
from support.postgres.store_parts import Kept
from support.time.waiting import eventually

CLOSED = "SELECT call_sid, extract(epoch FROM ended_at)::float - $1 AS ended, end_reason FROM calls ORDER BY 1"


async def write(kept: Kept, *records: AnyRecord) -> None:
    async with kept.database.writing.begin() as connection_:
        await save(connection_, batch_of(records))


async def closed(where: Address) -> list[tuple[float | None, str | None]]:
    """When each call ended, in seconds after its first stream began, and why."""
    rows = await sql(where, CLOSED, AT)
    since = [60.0 * int(row["call_sid"].removeprefix("CA"), 16) for row in rows]
    return [
        (None if row["ended"] is None else round(row["ended"] - begun, 3), row["end_reason"])
        for row, begun in zip(rows, since, strict=True)
    ]


def now_who(call: int = 0, stream: int = 0, *, ago_s: float = 0.0, **fields: Any) -> Who:
    """A stream that began just now, or so many seconds ago."""
    return who(call, stream, started_at=time.time() - ago_s, **fields)


# -- what Twilio told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    ["completed", *(pytest.param(w, marks=pytest.mark.nightly) for w in ("busy", "failed", "no-answer", "canceled"))],
)
async def test_a_call_whose_pod_was_killed_ends_when_twilio_says_so(kept: Kept, word: str) -> None:
    await write(kept, began(), heard(0))
    await write(kept, status(status=word))

    assert await closed(kept.where) == [(30.0, word)]
    (call,) = await sql(kept.where, "SELECT duration_s, pod FROM calls")
    assert tuple(call.values()) == (31, "pod-1")


async def test_whatever_comes_first_the_streams_own_end_stays_and_else_twilios(kept: Kept) -> None:
    """Every order, each by a call of its own; each record in a batch of its own, and then all again in one."""
    for finished, expected in ((True, (9.0, "stop")), (False, (30.0, "completed"))):
        orders = list(permutations(range(4 if finished else 3)))
        told: list[list[AnyRecord]] = []
        for number, order in enumerate(orders):
            of = who(number)
            records: list[AnyRecord] = [began(of), heard(0, of), status(number), over(of)]
            told.append([records[index] for index in order])
            for record in told[-1]:
                await write(kept, record)
        assert await closed(kept.where) == [expected] * len(orders)
        for again in told:
            await write(kept, *again)
        assert await closed(kept.where) == [expected] * len(orders)
        durations = await sql(kept.where, "SELECT DISTINCT duration_s FROM calls")
        assert [row["duration_s"] for row in durations] == [31]
        await empty(kept.where)


async def test_a_call_that_went_on_on_another_pod_is_ended_by_its_last_stream_and_by_twilio_where_that_was_killed(
    kept: Kept,
) -> None:
    """Twilio's end is known before the journal of a killed pod comes back with streams that nobody knew."""
    later = who(stream=1, pod="pod-2")
    told: list[list[AnyRecord]] = [[began(), over(reason="drained")], [began(later)], [status()]]
    for order in permutations(told):
        for records in order:
            await write(kept, *records)
        assert await closed(kept.where) == [(30.0, "completed")], "the drained stream's end is not the call's"
        await write(kept, over(later))
        assert await closed(kept.where) == [(19.0, "stop")]
        await empty(kept.where)


async def test_a_call_that_is_drained_and_whose_next_stream_lives_stays_open(kept: Kept) -> None:
    await write(kept, began(), over(reason="drained"), began(who(stream=1, pod="pod-2")))

    assert await close_open(kept.database.reading, pause_s=0) == Closed(told=0, lost=0)
    assert await closed(kept.where) == [(None, None)]


async def test_nothing_is_invented_of_a_call_that_is_not_known(kept: Kept) -> None:
    await write(kept, status(7), status(8, status="busy", duration_s=None))

    assert await sql(kept.where, "SELECT * FROM calls") == []
    assert await sql(kept.where, "SELECT * FROM leads") == []
    rows = await sql(kept.where, "SELECT call_sid, status, duration_s FROM call_statuses ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [(sid(7), "completed", 31), (sid(8), "busy", None)]


async def test_of_an_end_that_is_told_twice_the_earliest_stays(kept: Kept) -> None:
    late, early = status(ended_at=AT + 50), status(ended_at=AT + 40, duration_s=41)
    for order in permutations((late, early, late)):
        await write(kept, began(), *order)
        await write(kept, late)
        assert await closed(kept.where) == [(40.0, "completed")]
        await empty(kept.where)


async def test_two_writers_that_miss_each_other_are_put_right(kept: Kept, where: Address) -> None:
    """One writes the call while the other writes its end: neither sees what the other has not committed."""
    one, other = engine_without_timeout(where), engine_without_timeout(where)
    try:
        async with one.begin() as first, other.begin() as second:
            await save(first, batch_of([began()]))
            await save(second, batch_of([status()]))
        assert await closed(where) == [(None, None)]
        assert await close_open(one, pause_s=0) == Closed(told=1, lost=0)
        assert await closed(where) == [(30.0, "completed")]
    finally:
        await one.dispose()
        await other.dispose()


async def test_an_erased_call_is_closed_and_stays_erased(kept: Kept) -> None:
    await write(kept, began(), heard(0))
    await sql(kept.where, "UPDATE calls SET caller_number = '', erased_at = now()")
    await sql(kept.where, "UPDATE utterances SET text = ''")
    await write(kept, status(), heard(1))

    (call,) = await sql(kept.where, "SELECT caller_number, end_reason FROM calls")
    assert tuple(call.values()) == ("", "completed")
    assert {row["text"] for row in await sql(kept.where, "SELECT text FROM utterances")} == {""}


# -- what nobody told ----------------------------------------------------------------------------------------------


async def test_a_call_that_was_silent_for_a_day_ends_where_anything_was_last_known_of_it(kept: Kept) -> None:
    of, revision, bare, answered = now_who(0), now_who(1), now_who(2), now_who(3)
    await write(kept, began(of), heard(0, of), heard(1, of))
    await write(kept, began(revision), heard(0, revision), revised(0, revision))
    await write(kept, began(bare))
    await write(kept, began(answered), heard(0, answered), replying(1, 0, answered))
    await age(kept.where, 23.9)
    assert await close_open(kept.database.reading, pause_s=0) == Closed(0, 0)
    await age(kept.where, 0.2)
    assert await close_open(kept.database.reading, pause_s=0) == Closed(told=0, lost=4)

    rows = await sql(
        kept.where,
        "SELECT extract(epoch FROM ended_at - stream_started_at)::float AS s, end_reason FROM calls ORDER BY call_sid",
    )
    assert [round(row["s"], 3) for row in rows] == [4.0, 2.5, 0.0, 2.9]
    assert {row["end_reason"] for row in rows} == {LOST}
    assert await close_open(kept.database.reading, pause_s=0) == Closed(0, 0)


async def test_a_call_with_any_sign_of_life_in_the_last_day_is_not_closed(kept: Kept) -> None:
    """Its stream is a day old and more; something was said, or revised, or it moved to another pod since."""
    spoken, revision, moved = now_who(0), now_who(1), now_who(2)
    await write(kept, began(spoken), began(revision), began(moved))
    await age(kept.where, 30)
    await write(kept, heard(0, spoken, final_ms=1.0), revised(0, revision), began(now_who(2, 1, pod="pod-2")))
    await sql(kept.where, "UPDATE calls SET updated_at = now() - interval '30 h' WHERE call_sid <> $1", sid(2))

    assert await close_open(kept.database.reading, pause_s=0) == Closed(0, 0)
    await age(kept.where, 25)
    assert await close_open(kept.database.reading, pause_s=0) == Closed(told=0, lost=3)


@pytest.mark.parametrize("ahead_h", [-100.0, 100.0, *(pytest.param(h, marks=pytest.mark.nightly) for h in (-1.0, 0.5))])
async def test_the_day_is_measured_by_the_databases_clock(kept: Kept, ahead_h: float) -> None:
    """A pod's clock may be anywhere: its calls are neither closed while they live, nor open for ever."""
    of = now_who(ago_s=-3600.0 * ahead_h)
    await write(kept, began(of), heard(0, of))
    await sql(kept.where, "UPDATE calls SET updated_at = updated_at - interval '23 h'")
    assert await close_open(kept.database.reading, pause_s=0) == Closed(0, 0), "it may live"
    await sql(kept.where, "UPDATE calls SET updated_at = updated_at - interval '2 h'")
    await sql(kept.where, "UPDATE utterances SET started_at = started_at - interval '25 h'")
    await sql(kept.where, "UPDATE events SET at = at - interval '25 h'")

    assert await close_open(kept.database.reading, pause_s=0) == Closed(told=0, lost=1)


async def test_a_lost_call_of_which_a_journal_brings_more_ends_later_and_with_its_own_end_as_it_was(kept: Kept) -> None:
    of = now_who()
    await write(kept, began(of), heard(0, of))
    await age(kept.where, 30)
    await close_open(kept.database.reading, pause_s=0)
    of = who(started_at=of.started_at - 30 * 3600)  # as its journal has it, which was away for all that time
    assert await ended(kept.where) == (2.0, LOST)
    await write(kept, heard(1, of), heard(2, of))
    assert await ended(kept.where) == (6.0, LOST)
    await write(kept, heard(1, of))
    assert await ended(kept.where) == (6.0, LOST), "what was known already changes nothing"
    await write(kept, over(of))
    assert await ended(kept.where) == (9.0, "stop")
    await write(kept, heard(0, of), status(ended_at=of.started_at + 11))
    assert await ended(kept.where) == (9.0, "stop"), "and that is final"


async def test_a_lost_call_takes_the_end_that_twilio_told_and_lives_again_by_a_new_stream(kept: Kept) -> None:
    told, alive = now_who(0), now_who(1)
    await write(kept, began(told), began(alive))
    await age(kept.where, 30)
    await close_open(kept.database.reading, pause_s=0)
    await write(kept, status(0), began(now_who(1, 1, pod="pod-2")))

    rows = await sql(kept.where, "SELECT end_reason, ended_at IS NULL AS is_open FROM calls ORDER BY call_sid")
    assert [tuple(row.values()) for row in rows] == [("completed", False), (None, True)]


async def ended(where: Address) -> tuple[float, str]:
    (row,) = await sql(
        where, "SELECT extract(epoch FROM ended_at - stream_started_at)::float AS s, end_reason FROM calls"
    )
    return round(row["s"], 3), row["end_reason"]


# -- many pods, and many calls -------------------------------------------------------------------------------------

FILL = """
INSERT INTO calls (call_sid, account_sid, stream_sid, stream_sids, agent, caller_number, called_number, direction,
                   started_at, stream_started_at, ended_at, end_reason, pod, figures, updated_at)
SELECT 'CA' || n, 'AC0', 'MZ' || n, ARRAY['MZ' || n], 'a', '', '', 'inbound', now() - interval '30 h',
       now() - interval '30 h', CASE WHEN n % $2 = 0 THEN NULL ELSE now() END,
       CASE WHEN n % $2 = 0 THEN NULL ELSE 'stop' END, 'pod', '{}', now() - interval '30 h'
FROM generate_series(1, $1::int) AS n
"""


async def fill(where: Address, calls: int, *, open_one_in: int) -> None:
    await sql(where, FILL, calls, open_one_in)
    await sql(where, "ANALYZE calls")


async def test_pods_that_clean_up_at_once_close_each_call_once_and_leave_what_is_being_written(
    kept: Kept, where: Address
) -> None:
    await fill(where, 3_000, open_one_in=10)
    engines: list[AsyncEngine] = [engine_without_timeout(where) for _ in range(3)]
    async with connection(where) as writer, writer.transaction():
        await writer.execute("SELECT 1 FROM calls WHERE call_sid = 'CA100' FOR UPDATE")
        runs = await asyncio.gather(*(close_open(engine, batch=20, pause_s=0) for engine in engines))
        assert sum(run.lost for run in runs) == 299
    assert (await close_open(engines[0], batch=20, pause_s=0)).lost == 1
    for engine in engines:
        await engine.dispose()
    reasons = await sql(where, "SELECT end_reason, count(*) AS n FROM calls GROUP BY 1 ORDER BY 1")
    assert [tuple(row.values()) for row in reasons] == [(LOST, 300), ("stop", 2_700)]


async def test_a_run_is_bounded_and_reads_the_open_calls_alone(kept: Kept, where: Address) -> None:
    await fill(where, 10_000, open_one_in=100)
    assert await close_open(kept.database.reading, batch=20, most=50, pause_s=0) == Closed(told=0, lost=50)

    compiled = CLOSE_LOST.compile(dialect=dialect(paramstyle="named"))  # type: ignore[no-untyped-call]
    given = {**compiled.params, "limit": 20}
    text = re.sub(r"(?<!:):(\w+)", lambda found: repr(given[found[1]]), str(compiled))
    plan = "\n".join(str(row["QUERY PLAN"]) for row in await sql(where, f"EXPLAIN {text}"))
    assert "calls_open" in plan
    assert "Seq Scan on calls" not in plan


async def test_the_housekeeper_closes_them_even_where_nothing_old_can_be_deleted(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "EVERY_S", 0.05)
    await write(kept, began(now_who()))
    await age(kept.where, 30)
    await sql(kept.where, "DROP TABLE erasures")
    house = asyncio.create_task(cleanup.run_cleanup(kept.database, kept.dead_letters, 30))
    try:

        async def closed() -> bool:
            return await sql(kept.where, "SELECT end_reason FROM calls") == [{"end_reason": LOST}]

        await eventually(closed)
        assert not house.done(), "it goes on where something could not be deleted"
    finally:
        house.cancel()
        await asyncio.gather(house, return_exceptions=True)
