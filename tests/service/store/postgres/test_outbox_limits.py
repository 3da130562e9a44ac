"""What erasures and retention do to the outbox, its dead letters and its sinks."""

import re

import msgspec

from batkol.events.outgoing import decode
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.erase import complete_erasures, erase
from batkol.store.postgres.outbox_erase import erase_events
from batkol.store.postgres.outbox_retention import expire_events, forget_sinks
from batkol.store.postgres.retention import retain
from support.postgres.records import CALLED, CALLER, final_event, sid, started_event, who
from support.postgres.sql import age, sql
from support.postgres.store_parts import Kept, newest
from support.sinks.pods import CRM, events, handed_on, ids_of, said, whole, write

OTHER = "+972509999999"
HEBREW = re.compile("[א-ת]")


def introduced(call: int = 0, caller: str = CALLER) -> list:  # type: ignore[type-arg]
    """The start of a call and a final."""
    started = msgspec.structs.replace(started_event(call), from_=caller, to=CALLED, parameters={"name": "דנה"})
    return [handed_on(started, call, caller=caller), handed_on(final_event(0, call), call, caller=caller)]


async def refuse(where: Address, position: int) -> None:
    await sql(
        where,
        "INSERT INTO sink_letters (agent, sink, position, reason) VALUES ('reception', 'crm', $1, '410')",
        position,
    )


async def test_nothing_of_an_erased_caller_is_left_and_all_of_others(kept: Kept) -> None:
    await write(kept.where, [*introduced(0), *introduced(1, OTHER)])
    before = dict(await events(kept.where))
    for row in await sql(kept.where, "SELECT position FROM outbox"):
        await refuse(kept.where, row["position"])

    assert (await erase(kept.database.reading, CALLER)).events == 2
    after = dict(await events(kept.where))
    assert list(after) == list(before), "events without a person stay, so that a receiver sees the whole call"
    for id_, data in after.items():
        if id_.startswith(who(0).stream_sid):
            assert HEBREW.search(data) is None
            assert CALLER not in data
        else:
            assert data == before[id_]
    assert CALLED in after[f"{who(0).stream_sid}-1"], "our own number is no person"
    assert len(await sql(kept.where, "SELECT * FROM sink_letters")) == 4
    assert (await erase(kept.database.reading, CALLER)).events == 0


async def test_what_journals_bring_after_the_erasure_comes_without_the_person(kept: Kept) -> None:
    await write(kept.where, introduced(1, OTHER))
    await erase(kept.database.reading, CALLER)
    await write(kept.where, introduced(0))

    late = [data for id_, data in await events(kept.where) if id_.startswith(who(0).stream_sid)]
    assert len(late) == 2
    assert HEBREW.search(str(late)) is None
    assert CALLER not in str(late)


async def test_a_later_stream_that_was_written_first_is_erased_with_the_call(kept: Kept) -> None:
    """Its pod knew of the erasure; the stream before it, which comes now, began before that."""
    first = who(0, after_erasure=await newest(kept))
    await erase(kept.database.reading, CALLER)
    known = await newest(kept)
    await write(kept.where, [handed_on(final_event(0), 0, 1, after_erasure=known)])
    assert HEBREW.search(str(await events(kept.where)))
    await write(kept.where, [handed_on(final_event(0), 0, after_erasure=first.after_erasure)])

    assert len(await events(kept.where)) == 2
    assert HEBREW.search(str(await events(kept.where))) is None


async def test_what_an_erasure_by_an_older_version_leaves_is_erased_by_a_newer_one(kept: Kept) -> None:
    await write(kept.where, [*introduced(0), *introduced(1, OTHER)])
    await sql(kept.where, "UPDATE calls SET erased_at = now() WHERE call_sid = $1", sid(0))

    assert await complete_erasures(kept.database.reading) == 2
    assert await complete_erasures(kept.database.reading) == 0
    assert [bool(HEBREW.search(data)) for _, data in await events(kept.where)] == [False, False, True, True]


async def test_an_event_that_this_version_cannot_read_goes_with_the_person(kept: Kept) -> None:
    await write(kept.where, introduced(0))
    newer = '{"type": "call.sang", "song": "שיר"}'
    await sql(kept.where, "UPDATE outbox SET data = $1 WHERE seq = 5", newer)
    await erase(kept.database.reading, CALLER)

    ((id_, data),) = await events(kept.where)
    assert id_.endswith("-1")
    assert decode(data).seq == 1


async def test_an_erasure_of_many_events_takes_them_piece_by_piece(kept: Kept) -> None:
    await write(kept.where, whole(0, finals=7))
    async with kept.database.reading.begin() as connection:
        assert await erase_events(connection, [sid(0)], chunk=2) == 9
    assert HEBREW.search(str(await events(kept.where))) is None


async def test_retention_of_calls_takes_their_events(kept: Kept) -> None:
    await write(kept.where, [said(0, 0)])
    await age(kept.where, 24 * 40)
    await write(kept.where, [said(0, 1)])

    assert (await retain(kept.database.reading, 30, pause_s=0.0))["calls"] == 1
    assert [id_ for id_, _ in await events(kept.where)] == ids_of(1, [0])


async def test_events_that_go_with_their_calls_are_counted_for_the_sinks_that_had_not_got_them(kept: Kept) -> None:
    await write(kept.where, [said(index) for index in range(3)])
    await age(kept.where, 24 * 2)
    await sql(kept.where, "UPDATE outbox SET written_at = written_at - interval '2 days'")

    assert (await retain(kept.database.reading, 1, pause_s=0.0))["calls"] == 1
    assert await events(kept.where) == []
    assert await sql(kept.where, "SELECT expired FROM sinks") == [{"expired": 3}]


async def test_old_events_go_and_are_counted_for_the_sinks_that_had_not_got_them(where: Address) -> None:
    database = Database(where, pool_size=1)
    await write(where, [said(index) for index in range(4)])
    await write(where, [said(4, 1)], CRM)
    here = "SELECT agent, 'bus', transaction, position FROM outbox WHERE position = 3"
    await sql(where, f"INSERT INTO sinks (agent, name, transaction, position) {here}")
    here = (
        "SELECT agent, 'bus', stream_sid, call_sid, transaction, 1, 1, now(), false, '' FROM outbox WHERE position = 2"
    )
    columns = "agent, sink, stream_sid, call_sid, transaction, position, attempts, due_at, is_asked, reason"
    await sql(where, f"INSERT INTO sink_streams ({columns}) {here}")
    await sql(where, "UPDATE outbox SET written_at = now() - interval '8 days' WHERE position <= 4")
    await refuse(where, 1)

    assert await expire_events(database.reading, 3) == 3
    assert await expire_events(database.reading, 3) == 1
    assert await expire_events(database.reading, 3) == 0
    await database.close()
    assert [id_ for id_, _ in await events(where)] == ids_of(1, [4])
    assert await sql(where, "SELECT * FROM sink_letters") == [], "dead letters are events, too"
    expired = {row["name"]: row["expired"] for row in await sql(where, "SELECT name, expired FROM sinks")}
    assert expired == {"crm": 4, "bus": 3}, "of the bus: two of a stream that waited, and the one behind its position"


async def test_there_are_never_more_events_than_the_limit_once_it_was_cleaned_up(where: Address) -> None:
    database = Database(where, pool_size=1)
    await write(where, [said(index) for index in range(10)])
    while await expire_events(database.reading, 2, rows=4):
        pass
    await database.close()
    assert [id_ for id_, _ in await events(where)] == ids_of(0, [6, 7, 8, 9])


async def test_sinks_that_no_pod_has_had_for_a_week_are_forgotten(where: Address) -> None:
    database = Database(where, pool_size=1)
    await write(where, [said(0)])
    await refuse(where, 1)
    assert await forget_sinks(database.reading) == 0
    await sql(where, "UPDATE sinks SET seen_at = now() - interval '8 days'")
    assert await forget_sinks(database.reading) == 1
    await database.close()
    assert await sql(where, "SELECT * FROM sink_letters") == []
    assert len(await events(where)) == 1
