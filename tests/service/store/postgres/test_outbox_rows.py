"""Events in the outbox: with their records, once, and only where a sink wants them."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from batkol.events.events import encode
from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.recorder import JournalRecorder
from batkol.store.journal_commands import EVENTS_OF_ALL
from batkol.store.options import OutboxSettings
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import engine_without_timeout
from batkol.store.postgres.writer import Writer
from support.postgres.records import ended_event, final_event, heard, identity, started_event, who
from support.postgres.sql import sql, texts
from support.postgres.store_parts import Kept
from support.sinks.pods import AGENT, CRM, events, handed_on, ids_of, said, whole, write


async def sinks(where: Address) -> list[tuple[str, str]]:
    return [(row["agent"], row["name"]) for row in await sql(where, "SELECT * FROM sinks ORDER BY agent, name")]


async def test_an_event_is_there_with_its_record_byte_for_byte(where: Address) -> None:
    of = identity()
    kept = final_event(0, stream_sid=of.stream_sid)
    await write(where, [handed_on(kept), handed_on(ended_event())])

    assert await events(where) == [
        (kept.id, encode(kept).decode()),
        (f"{of.stream_sid}-1000", (await events(where))[1][1]),
    ]
    (row, *_) = await sql(where, "SELECT * FROM outbox ORDER BY position")
    assert (row["agent"], row["kind"], row["at"].timestamp()) == (AGENT, "final", kept.at)


async def test_what_is_delivered_again_gives_the_event_once(where: Address) -> None:
    for records in (whole(), whole(), [*whole(), said(7)], [said(7)]):
        await write(where, records)

    assert [each for each, _ in await events(where)] == [
        f"{who().stream_sid}-1", *ids_of(0, [0, 1]), f"{who().stream_sid}-1000", *ids_of(0, [7])
    ]  # fmt: skip


async def test_a_transaction_that_is_rolled_back_leaves_neither(where: Address) -> None:
    engine = engine_without_timeout(where)
    async with engine.connect() as connection:
        await connection.begin()
        await save(connection, batch_of(whole()), CRM)
        await connection.rollback()
    await engine.dispose()

    assert await events(where) == []
    assert await texts(where) == []
    assert await sinks(where) == []


async def test_without_a_sink_nothing_is_written_whatever_the_journal_has(where: Address) -> None:
    await write(where, whole(), outbox=None)
    await write(where, [heard(3)])
    assert await events(where) == []
    assert await sinks(where) == []
    await write(where, [said(0, 1)])
    await write(where, [said(1, 1)], outbox=None)
    assert [each for each, _ in await events(where)] == ids_of(1, [0]), "though the database knows a sink"
    assert len(await texts(where)) == 5


async def test_sinks_are_known_by_agent_and_begin_with_the_first_event(where: Address) -> None:
    await write(where, [said(0)])
    await write(where, [said(1)], OutboxSettings(AGENT, ("bus", "crm")))
    await write(where, [said(2)], OutboxSettings("sales", ("crm",)))

    assert await sinks(where) == [(AGENT, "bus"), (AGENT, "crm"), ("sales", "crm")]
    rows = await sql(
        where,
        "SELECT name, count(*) AS events FROM sinks JOIN outbox ON outbox.agent = sinks.agent AND "
        "(outbox.transaction, outbox.position) > (sinks.transaction, sinks.position) GROUP BY 1 ORDER BY 1",
    )
    assert [(row["name"], row["events"]) for row in rows] == [("bus", 2), ("crm", 3)]


async def test_a_journal_that_is_drained_by_hand_gives_events_to_known_sinks_alone(where: Address) -> None:
    await write(where, [said(0)])
    await write(where, [said(1)], EVENTS_OF_ALL)
    other = handed_on(final_event(2, 1), 1, agent="sales")
    await write(where, [other], EVENTS_OF_ALL)

    assert [each for each, _ in await events(where)] == ids_of(0, [0, 1])
    assert await sinks(where) == [(AGENT, "crm")]


async def test_two_pods_that_begin_with_the_same_sinks_wait_for_each_other_and_in_no_circle(where: Address) -> None:
    both = OutboxSettings(AGENT, ("crm", "bus"))
    records = [said(0, call) for call in range(8)]
    await asyncio.gather(*(write(where, records[each:] + records[:each], both) for each in range(8)))

    assert sorted(each for each, _ in await events(where)) == sorted(ids_of(call, [0])[0] for call in range(8))


async def test_positions_follow_the_numbers_of_a_stream_in_whatever_order_a_batch_has_them(where: Address) -> None:
    await write(where, [said(3), said(1, 1), said(0), said(2), said(0, 1)])
    rows = await sql(where, "SELECT stream_sid, seq FROM outbox ORDER BY position")
    assert [row["seq"] for row in rows if row["stream_sid"] == who().stream_sid] == [5, 25, 35]
    assert [row["seq"] for row in rows if row["stream_sid"] == who(1).stream_sid] == [5, 15]


async def test_the_recorder_keeps_events_for_the_writer_which_says_that_they_are_there(
    tmp_path: Path, where: Address
) -> None:
    kept = Kept(where, tmp_path)
    await kept.open()
    told: list[str] = []
    kept.writer = Writer(kept.journal, kept.database, kept.dead_letters, kept.confirmed, CRM)
    kept.writer.on_events = lambda: told.append("events")
    for recorder, call in ((JournalRecorder(kept.journal, "pod", kept.confirmed, hands_on=True), 0),
                           (JournalRecorder(kept.journal, "pod", kept.confirmed), 1)):  # fmt: skip
        for event in (started_event(call), final_event(0, call), ended_event(call)):
            recorder.keep(identity(call), event)
    await kept.written()
    await kept.close()

    assert len(await events(where)) == 3
    assert set(told) == {"events"}
    assert [row["call_sid"] for row in await sql(where, "SELECT DISTINCT call_sid FROM outbox")] == [
        identity(0).call_sid
    ]


async def test_a_record_of_a_version_without_events_is_read_and_one_with_an_event_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20)
    await journal.open()
    JournalRecorder(journal, "pod", Confirmed(tmp_path)).keep(identity(), final_event(0))
    JournalRecorder(journal, "pod", Confirmed(tmp_path), hands_on=True).keep(identity(), final_event(1))
    await journal.more(1.0)
    first, second = [frame.payload for frame in await journal.read(10)]
    await journal.close()

    assert b"event" not in first, "without a sink a record is as long as before"
    assert encode(final_event(1)) in second


async def test_a_database_without_the_tables_takes_no_records_until_it_has_them(where: Address) -> None:
    await sql(where, "ALTER TABLE outbox RENAME TO gone")
    with pytest.raises(DBAPIError):
        await write(where, [said(0)])
    await sql(where, "ALTER TABLE gone RENAME TO outbox")
    await write(where, [said(0)])
    assert [each for each, _ in await events(where)] == ids_of(0, [0])
