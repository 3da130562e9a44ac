"""What a drainer guarantees, on a real Postgres: order, no event lost, and one that waits holds its stream alone."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from batkol.backoff import Backoff
from batkol.rights import Right
from batkol.sinks import statements
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.feed import SinkFeed
from batkol.sinks.limits import DrainerLimits
from batkol.sinks.statements import backlog
from batkol.sinks.statistics import SinkState, SinkStatistics
from batkol.store.journal.records import AnyRecord
from batkol.store.options import OutboxSettings
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import Database, engine_without_timeout
from batkol.store.postgres.erase import erase
from support.network.relay import relaying
from support.postgres.records import CALLER, ended_event, final_event, who
from support.postgres.server import Server
from support.postgres.sql import connection, sql
from support.postgres.store_parts import QUICK
from support.sinks.pods import AGENT, CRM, LIMITS, draining, handed_on, ids_of, said, whole, write
from support.sinks.receiver import ScriptedSink
from support.time.waiting import eventually, until

STREAM, OTHER = who(0).stream_sid, who(1).stream_sid
LONG = 600.0
BY_NEWS = replace(LIMITS, poll_s=LONG, backlog_s=LONG)
"""Nothing is found by looking; a test that gets on was told."""


async def known(where: Address, *names: str) -> None:
    """Have the database know these sinks: they begin with the next event."""
    await write(where, [said(90, 9)], OutboxSettings(AGENT, names or ("crm",)))


def theirs(receiver: ScriptedSink) -> list[str]:
    """The ids that came, but for that of `known`."""
    return [each for each in receiver.ids if not each.startswith(who(9).stream_sid)]


async def dead(where: Address) -> list[tuple[str, str]]:
    rows = await sql(
        where, "SELECT stream_sid || '-' || seq AS id, reason FROM sink_letters JOIN outbox USING (agent, position) "
               "WHERE again_at IS NULL ORDER BY position"
    )  # fmt: skip
    return [(row["id"], row["reason"]) for row in rows]


async def test_everything_arrives_in_order_and_nothing_comes_again(where: Address) -> None:
    receiver = ScriptedSink()
    *begun, over = whole(0, finals=3)
    await write(where, begun)
    await write(where, [said(7, 0), said(0, 1), over])
    async with draining(where, receiver.door()) as pod:
        await until(lambda: len(receiver.got) == 7)
        await until(lambda: (backlog := pod.statistics[0].backlog) and not backlog.pending)
        await until(lambda: pod.statistics[0].delivered == 7)
        assert pod.statistics[0].pod == "pod-1"
    assert receiver.closed == 1
    assert receiver.streams == {STREAM: [1, 5, 15, 25, 75, 1000], OTHER: [5]}

    async with draining(where, receiver.door()):
        await write(where, [said(1, 1)])
        await until(lambda: len(receiver.got) == 8)
    assert len(receiver.ids) == 8


async def test_a_sink_begins_with_what_comes_after_it_was_set(where: Address) -> None:
    receiver = ScriptedSink("bus")
    await write(where, [said(0)])
    async with draining(where, receiver.door()) as pod:
        await until(lambda: pod.statistics[0].state == SinkState.DELIVERING)
        await eventually(lambda: sql(where, "SELECT 1 FROM sinks WHERE name = 'bus'"))
        await write(where, [said(1)])
        await until(lambda: receiver.got)
    assert receiver.ids == ids_of(0, [1])


async def test_each_sink_gets_what_it_wants_of_its_own_agent(where: Address) -> None:
    ends, all_, quiet = ScriptedSink("ends"), ScriptedSink("all"), ScriptedSink("quiet")
    await write(where, [handed_on_by_another_agent()], OutboxSettings("sales", ("ends", "all", "quiet")))
    await write(where, whole(), OutboxSettings(AGENT, ("ends", "all", "quiet")))
    wishes = (
        SinkFeed(ends.door(), kinds=frozenset({"call.ended"})),
        SinkFeed(all_.door()),
        SinkFeed(quiet.door(), may=frozenset({Right.NUMBERS})),
    )
    async with draining(where, *wishes):
        await until(lambda: len(ends.got) == 1 and len(all_.got) == len(quiet.got) == 4)
    assert [event.type for event in ends.got] == ["call.ended"]
    assert {event.agent for event in all_.got} == {AGENT}
    assert "משפט" in b"".join(event.data for event in all_.got).decode()
    assert "משפט" not in b"".join(event.data for event in quiet.got).decode()


def handed_on_by_another_agent() -> AnyRecord:
    return handed_on(final_event(0, 5), 5, agent="sales")


# -- transactions -----------------------------------------------------------------------------------------------------


async def test_a_transaction_that_ends_late_and_has_lower_positions_is_waited_for(
    where: Address,
) -> None:
    receiver = ScriptedSink()
    await known(where)
    engine = engine_without_timeout(where)
    async with draining(where, receiver.door()) as pod, engine.connect() as late:
        await late.begin()
        await save(late, batch_of([said(0)]), CRM)
        await write(where, [said(0, 1)])
        await until(lambda: pod.statistics[0].held_back_s > 0)
        assert theirs(receiver) == []
        await late.commit()
        await until(lambda: len(theirs(receiver)) == 2)
        assert pod.statistics[0].held_back_s == 0
    await engine.dispose()
    assert theirs(receiver) == [*ids_of(0, [0]), *ids_of(1, [0])]


async def test_a_later_transaction_that_took_its_positions_first_is_not_skipped(where: Address) -> None:
    receiver = ScriptedSink()
    await known(where)
    engine = engine_without_timeout(where)
    async with draining(where, receiver.door()), engine.connect() as older, engine.connect() as newer:
        await older.exec_driver_sql("SELECT pg_current_xact_id()")
        await save(newer, batch_of([said(0, 1)]), CRM)
        await save(older, batch_of([said(0)]), CRM)
        await older.commit()
        await until(lambda: theirs(receiver) == ids_of(0, [0]))
        await newer.commit()
        await until(lambda: len(theirs(receiver)) == 2)
    await engine.dispose()
    positions = await sql(where, "SELECT seq, stream_sid FROM outbox WHERE seq = 5 ORDER BY position")
    assert [row["stream_sid"] for row in positions] == [OTHER, STREAM], "the positions are the other way round"


async def test_a_new_sink_misses_nothing_of_an_older_transaction_that_wrote_at_the_same_time(where: Address) -> None:
    """Two pods are the first with a sink: the one whose transaction is newer has the database know it."""
    receiver = ScriptedSink()
    engine = engine_without_timeout(where)
    async with engine.connect() as older, engine.connect() as newer:
        await older.exec_driver_sql("SELECT pg_current_xact_id()")
        await save(newer, batch_of([said(0, 1)]), CRM)
        await newer.commit()
        await save(older, batch_of([said(0)]), CRM)
        await older.commit()
    await engine.dispose()
    async with draining(where, receiver.door()):
        await until(lambda: OTHER in receiver.streams)
    assert receiver.ids == [*ids_of(0, [0]), *ids_of(1, [0])]


async def test_a_transaction_that_is_rolled_back_holds_nothing_back(where: Address) -> None:
    receiver = ScriptedSink()
    await known(where)
    engine = engine_without_timeout(where)
    async with draining(where, receiver.door()) as pod, engine.connect() as lost:
        await save(lost, batch_of([said(0)]), CRM)
        await write(where, [said(0, 1)])
        await until(lambda: pod.statistics[0].held_back_s > 0)
        await lost.rollback()
        await until(lambda: theirs(receiver))
    await engine.dispose()
    assert theirs(receiver) == ids_of(1, [0])


# -- receivers --------------------------------------------------------------------------------------------------------


async def test_an_event_that_is_later_holds_its_stream_and_no_other(where: Address) -> None:
    well = asyncio.Event()
    (first,) = ids_of(0, [0])
    receiver = ScriptedSink(script=lambda event: Delivered() if event.id != first or well.is_set() else Later("busy"))
    await write(where, [said(0), said(1), said(0, 1)])
    async with draining(where, receiver.door()) as pod:
        await until(lambda: receiver.asked.count(first) > 2)
        await write(where, [said(2), said(1, 1)])
        await until(lambda: len(receiver.got) == 2)
        assert pod.statistics[0].fault == "busy"
        assert pod.statistics[0].retries > 1
        well.set()
        await until(lambda: len(receiver.got) == 5)
        await eventually(lambda: none_of(where, "SELECT * FROM sink_streams"))
        await until(lambda: pod.statistics[0].fault == "")
    assert receiver.streams == {STREAM: [5, 15, 25], OTHER: [5, 15]}


async def none_of(where: Address, statement: str) -> bool:
    return not await sql(where, statement)


async def test_an_event_that_is_refused_is_a_dead_letter_and_its_stream_goes_on(where: Address) -> None:
    bad = ids_of(0, [1])
    receiver = ScriptedSink(script=lambda event: Refused("410 Gone") if event.id in bad else Delivered())
    await write(where, [said(0), said(1), said(2)])
    async with draining(where, receiver.door()) as pod:
        await until(lambda: len(receiver.got) == 2)
        await until(lambda: (backlog := pod.statistics[0].backlog) and backlog.dead_letters)
        await until(lambda: (pod.statistics[0].refused, pod.statistics[0].delivered) == (1, 2))
    assert receiver.ids == ids_of(0, [0, 2])
    assert await dead(where) == [(bad[0], "410 Gone")]


async def test_a_receiver_that_names_a_time_is_left_alone_until_then(where: Address) -> None:
    asked = ids_of(0, [0])
    receiver = ScriptedSink(script=lambda event: Later("429", LONG) if event.id in asked else Delivered())
    await write(where, [said(0)])
    async with draining(where, receiver.door()):
        await eventually(lambda: sql(where, "SELECT 1 FROM sink_streams WHERE is_asked AND due_at > now()"))
        await write(where, [said(1), said(0, 1)])
        await until(lambda: receiver.ids == ids_of(1, [0]))
        assert receiver.asked.count(asked[0]) == 1
        asked.clear()
        await sql(where, "UPDATE sink_streams SET due_at = now()")
        await until(lambda: len(receiver.got) == 3)
    assert receiver.streams == {STREAM: [5, 15], OTHER: [5]}


async def test_a_dead_receiver_is_asked_by_one_stream_and_gets_everything_when_it_is_back(where: Address) -> None:
    """No more than so many streams wait for themselves; the others are not even read."""
    alive = asyncio.Event()
    receiver = ScriptedSink(script=lambda _: Delivered() if alive.is_set() else Later("refused connection"))
    limits = replace(LIMITS, held_streams=3, away_after=3)
    await write(where, [said(index, call) for index in range(2) for call in range(8)])
    async with draining(where, receiver.door(), limits=limits) as pod:
        await until(lambda: len(receiver.asked) > 20)
        for call in range(8, 12):
            await write(where, [said(0, call)])
        receiver.most_at_once = 0
        await until(partial(asked_more, receiver, len(receiver.asked) + 20))
        assert receiver.most_at_once == 1
        held = await sql(where, "SELECT stream_sid FROM sink_streams")
        assert len(held) == 8, "those of the batch that was read; no further one was"
        assert not set(receiver.asked) & {ids_of(call, [0])[0] for call in range(8, 12)}
        await until(lambda: (backlog := pod.statistics[0].backlog) and backlog.pending == 20 and backlog.streams == 8)
        alive.set()
        await until(lambda: len(receiver.ids) == 20)
        await eventually(lambda: none_of(where, "SELECT * FROM sink_streams"))
    assert len(receiver.got) == 20
    assert all(seqs == sorted(seqs) for seqs in receiver.streams.values())


def asked_more(receiver: ScriptedSink, times: int) -> bool:
    return len(receiver.asked) > times


async def test_events_that_a_receiver_never_takes_keep_no_others_from_it_however_many_they_are(where: Address) -> None:
    """As with a program that fails for each event of a type: 500 for those, for ever."""
    receiver = ScriptedSink(script=lambda event: Later("HTTP 500") if event.type == "final" else Delivered())
    limits = replace(LIMITS, held_streams=3, new_probe_s=0.05)
    await write(where, [said(0, call) for call in range(5)])
    async with draining(where, receiver.door(), limits=limits):
        await eventually(lambda: sql(where, "SELECT 1 FROM sink_streams HAVING count(*) = 5"))
        for call in range(10, 20):
            await write(where, whole(call))
        await until(lambda: len(receiver.got) == 10)
    assert {event.type for event in receiver.got} == {"call.started"}


async def test_an_event_that_never_goes_while_others_do_is_a_dead_letter_and_its_stream_goes_on(where: Address) -> None:
    (poison,) = ids_of(0, [0])
    receiver = ScriptedSink(script=lambda event: Later("HTTP 500") if event.id == poison else Delivered())
    await write(where, [said(0), said(1)])
    async with draining(where, receiver.door(), limits=replace(LIMITS, lone_attempts=3)):
        await until(lambda: receiver.asked.count(poison) > 6)
        assert receiver.got == [], "nothing else was taken, so it may be the receiver"
        for index in range(100):
            if STREAM in receiver.streams:
                break
            asked = receiver.asked.count(poison)
            await write(where, [said(index, 1)])
            await until(partial(more_than, receiver, poison, asked))
        await until(lambda: STREAM in receiver.streams)
    ((letter, reason),) = await dead(where)
    assert letter == poison
    assert reason == "HTTP 500. It took other events between 3 attempts with this one"
    assert receiver.streams[STREAM] == [15]


def more_than(receiver: ScriptedSink, event_id: str, asked: int) -> bool:
    """Whether the receiver was asked again, or has got on."""
    return receiver.asked.count(event_id) > asked or STREAM in receiver.streams


async def test_a_receiver_that_is_back_need_not_be_waited_for(where: Address) -> None:
    """The first stream that gets on takes the waits of all others away; but not one that the receiver asked for."""
    alive = asyncio.Event()
    (polite,) = ids_of(2, [0])

    def answer(event: Envelope) -> DeliveryOutcome:
        if event.id == polite:
            return Later("429", LONG)
        return Delivered() if alive.is_set() else Later("refused connection")

    receiver = ScriptedSink(script=answer)
    limits = replace(LIMITS, retry=Backoff(first_s=LONG, longest_s=LONG, uniform=lambda: 0.0))
    await write(where, [said(0, call) for call in range(3)])
    async with draining(where, receiver.door(), limits=limits):
        await eventually(lambda: three_held(where))
        alive.set()
        await sql(where, "UPDATE sink_streams SET due_at = now() WHERE stream_sid = $1", STREAM)
        await until(lambda: len(receiver.got) == 2)
        await eventually(lambda: one_held(where, who(2).stream_sid))
    assert receiver.ids == [*ids_of(0, [0]), *ids_of(1, [0])]


async def one_held(where: Address, stream_sid: str) -> bool:
    return [row["stream_sid"] for row in await sql(where, "SELECT * FROM sink_streams")] == [stream_sid]


async def three_held(where: Address) -> bool:
    return len(await sql(where, "SELECT 1 FROM sink_streams WHERE due_at > now()")) == 3


async def test_more_than_a_batch_of_a_stream_that_waited_comes_in_order(where: Address) -> None:
    well = asyncio.Event()
    receiver = ScriptedSink(script=lambda _: Delivered() if well.is_set() else Later("busy"))
    await write(where, [said(index) for index in range(250)])
    async with draining(where, receiver.door()):
        await until(lambda: len(receiver.asked) > 3)
        well.set()
        await until(lambda: len(receiver.ids) == 250)
    assert receiver.streams == {STREAM: [10 * index + 5 for index in range(250)]}


async def test_what_was_erased_while_it_waited_goes_out_without_the_person(where: Address) -> None:
    well = asyncio.Event()
    receiver = ScriptedSink(script=lambda _: Delivered() if well.is_set() else Later("busy", LONG))
    await write(where, whole())
    database = Database(where, pool_size=1)
    async with draining(where, receiver.door()):
        await eventually(lambda: sql(where, "SELECT 1 FROM sink_streams WHERE attempts = 1"))
        assert (await erase(database.reading, CALLER)).events == 4
        well.set()
        await sql(where, "UPDATE sink_streams SET due_at = now()")
        await until(lambda: len(receiver.ids) == 4)
    await database.close()
    sent = b"".join(event.data for event in receiver.got).decode()
    assert "משפט" not in sent
    assert CALLER not in sent


async def test_a_stream_whose_events_go_slowly_is_read_again_so_that_an_erasure_reaches_those_that_wait(
    where: Address,
) -> None:
    """Else all that was read with the first event would go out as it was, however long that takes."""
    receiver = ScriptedSink()
    await write(where, [said(index) for index in range(4)])
    receiver.hangs = {STREAM}
    database = Database(where, pool_size=1)
    async with draining(where, receiver.door(), limits=replace(LIMITS, lane_s=0.0)):
        await until(lambda: receiver.asked)
        assert (await erase(database.reading, CALLER)).events == 4
        receiver.let_go()
        await until(lambda: len(receiver.ids) == 4)
    await database.close()
    assert receiver.ids == ids_of(0, range(4))
    assert ["משפט" in event.data.decode() for event in receiver.got] == [True, False, False, False]


# -- the database -----------------------------------------------------------------------------------------------------


async def test_all_sinks_of_a_pod_take_one_connection(where: Address) -> None:
    receivers = [ScriptedSink(name) for name in ("crm", "bus", "log")]
    count = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'batkol' AND datname = current_database()"
    )
    async with draining(where, *(receiver.door() for receiver in receivers)) as pod:
        await until(lambda: all(each.state == SinkState.DELIVERING for each in pod.statistics))
        (running,) = await sql(where, count)
    assert running["n"] == 1


async def test_a_database_that_goes_away_and_comes_back(server: Server, where: Address) -> None:
    receiver = ScriptedSink()
    async with relaying(server.port) as relay, draining(server.over_tcp(where, relay.port), receiver.door()) as pod:
        await write(where, [said(0)])
        await until(lambda: receiver.got)
        relay.refuse()
        relay.cut()
        await write(where, [said(1)])
        await until(lambda: pod.statistics[0].state == SinkState.WAITING)
        assert pod.statistics[0].fault.startswith("the database: ")
        relay.accept()
        await until(lambda: len(receiver.ids) == 2 and pod.statistics[0].fault == "")


async def test_a_database_that_is_away_at_the_start_is_waited_for(server: Server, where: Address) -> None:
    receiver = ScriptedSink()
    await write(where, [said(0)])
    async with relaying(server.port) as relay:
        relay.refuse()
        async with draining(server.over_tcp(where, relay.port), receiver.door()) as pod:
            await until(lambda: pod.statistics[0].state == SinkState.WAITING)
            relay.accept()
            await until(lambda: receiver.got)
    assert receiver.ids == ids_of(0, [0])


async def test_tables_that_are_missing_are_waited_for(where: Address) -> None:
    receiver = ScriptedSink()
    await known(where)
    await sql(where, "ALTER TABLE sinks RENAME TO gone")
    async with draining(where, receiver.door()) as pod:
        await until(lambda: "42P01" in pod.statistics[0].fault)
        await sql(where, "ALTER TABLE gone RENAME TO sinks")
        await until(lambda: receiver.got)
    assert receiver.ids == ids_of(9, [90])


async def test_a_fault_that_comes_after_each_delivery_is_waited_for_longer_and_longer(where: Address) -> None:
    """A receiver need not get the same events ten times a second because the database cannot note them."""
    receiver, waits = ScriptedSink(), list[int]()
    await known(where)
    await sql(where, "ALTER TABLE sink_streams ADD CONSTRAINT none CHECK (attempts < 0)")
    receiver.script = lambda _: Later("busy")
    counting = Counting(first_s=0.01, longest_s=0.01, waits=waits)
    async with draining(where, receiver.door(), limits=replace(LIMITS, reconnect=counting)) as pod:
        await until(lambda: len(waits) > 4)
        assert "23514" in pod.statistics[0].fault
        await sql(where, "ALTER TABLE sink_streams DROP CONSTRAINT none")
        await until(lambda: not pod.statistics[0].fault.startswith("the database"))
    assert waits[:5] == [0, 1, 2, 3, 4]


@dataclass(frozen=True)
class Counting(Backoff):
    """Waits that take note of how many failures came before them."""

    waits: list[int] = field(kw_only=True)

    def wait_s(self, failures: int) -> float:
        self.waits.append(failures)
        return super().wait_s(failures)


async def test_a_sink_that_is_removed_from_the_database_begins_again(where: Address) -> None:
    receiver = ScriptedSink()
    async with draining(where, receiver.door()):
        await eventually(lambda: sql(where, "SELECT 1 FROM sinks"))
        await sql(where, "DELETE FROM sinks")
        await write(where, [said(0)])
        await until(lambda: receiver.got)
        await write(where, [said(1)])
        await until(lambda: len(receiver.ids) == 2)
    assert receiver.ids == ids_of(0, [0, 1])


async def test_events_that_were_copied_to_a_server_with_fewer_transactions_go_on(where: Address) -> None:
    """As `pg_dump` and a new server do: the numbers of transactions are those of another server."""
    far = 2**40
    got, stuck = ScriptedSink(), ids_of(0, [1])
    got.script = lambda event: Later("busy") if event.id in stuck else Delivered()
    await write(where, [said(0), said(1), said(2), said(0, 1)])
    async with draining(where, got.door()):
        await until(lambda: len(got.got) == 2)
        await eventually(lambda: sql(where, "SELECT 1 FROM sink_streams"))
    await write(where, [said(1, 1)])
    for table in ("outbox", "sinks", "sink_streams"):
        await sql(where, f"UPDATE {table} SET transaction = transaction + {far}")

    stuck.clear()
    async with draining(where, got.door()):
        await until(lambda: len(got.ids) == 5)
        await write(where, [said(3), said(2, 1)])
        await until(lambda: len(got.ids) == 7)
    assert got.streams == {STREAM: [5, 15, 25, 35], OTHER: [5, 15, 25]}


async def test_putting_many_copied_events_into_order_may_take_longer_than_a_statement_may(where: Address) -> None:
    """Millions of events take Postgres minutes; else no sink would ever begin again."""
    receiver = ScriptedSink()
    await write(where, [said(0)])
    for table in ("outbox", "sinks"):
        await sql(where, f"UPDATE {table} SET transaction = transaction + {2**40}")
    await sql(
        where,
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_sleep({QUICK.statement_s + 0.2}); RETURN new; END $$",
    )
    await sql(where, "CREATE TRIGGER slow BEFORE UPDATE ON outbox FOR EACH ROW EXECUTE FUNCTION slowly()")
    async with draining(where, receiver.door(), patience=QUICK):
        await until(lambda: receiver.got)
    assert receiver.ids == ids_of(0, [0])


async def test_counting_what_waits_looks_at_so_many_events_however_few_of_them_are_wanted(where: Address) -> None:
    """Else a sink of few events that was away for days has the database read millions of others every 5 s."""
    await write(where, [said(index) for index in range(10)])
    await write(where, [handed_on(ended_event())])
    pending = []
    for most in (5, 20):
        (row,) = await sql(where, backlog(most), AGENT, "crm", ["call.ended"])
        pending.append(row["pending"])
    assert pending == [0, 1]


async def test_figures_that_take_the_database_too_long_keep_no_event_from_its_receiver(
    where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = f"{statements.BACKLOG} AND pg_sleep({QUICK.statement_s + 5}) IS NOT NULL"
    monkeypatch.setattr(statements, "BACKLOG", slow)
    receiver = ScriptedSink()
    await write(where, [said(0)])
    async with draining(where, receiver.door(), patience=QUICK) as pod:
        await until(lambda: pod.statistics[0].delivered == 1)
        await write(where, [said(1)])
        await until(lambda: pod.statistics[0].delivered == 2)
        assert (pod.statistics[0].state, pod.statistics[0].fault) == (SinkState.DELIVERING, "")
    assert len(receiver.got) == 2, "each once: the lock was never lost"


# -- news -------------------------------------------------------------------------------------------------------------


def delivering(statistics: SinkStatistics) -> bool:
    return statistics.state == SinkState.DELIVERING and statistics.backlog is not None


async def test_what_a_pod_wrote_itself_is_delivered_at_once(where: Address) -> None:
    receiver = ScriptedSink()
    async with draining(where, receiver.door(), limits=BY_NEWS) as pod:
        await until(lambda: delivering(pod.statistics[0]))
        await write(where, [said(0)])
        pod.wake()
        await until(lambda: receiver.got)
    assert receiver.ids == ids_of(0, [0])


async def test_a_pod_that_ends_hands_on_first_what_it_wrote_and_waits_for_no_receiver_that_is_down(
    where: Address,
) -> None:
    receiver, down = ScriptedSink(), ScriptedSink("down", lambda _: Later("down"))
    await known(where, "crm", "down")
    async with draining(where, receiver.door(), down.door(), limits=BY_NEWS) as pod:
        await until(lambda: all(map(delivering, pod.statistics)))
        await write(where, whole(0, finals=3))
        await pod.caught_up()
        assert len(theirs(receiver)) == len(whole(0, finals=3))
        assert down.got == []
        assert any(each.startswith(STREAM) for each in down.asked)
    async with draining(where, receiver.door(), down.door(), limits=BY_NEWS) as another:
        await until(lambda: all(map(delivering, another.statistics)))
        async with draining(where, receiver.door(), pod="pod-2", limits=BY_NEWS) as standing_by:
            await until(lambda: standing_by.statistics[0].state == SinkState.STANDBY)
            await standing_by.caught_up()
            assert standing_by.statistics[0].delivered == 0


async def test_a_pod_without_the_lock_tells_the_one_that_has_it(where: Address) -> None:
    receiver = ScriptedSink()
    doors = [receiver.door(), receiver.door()]
    async with draining(where, doors[0], pod="pod-1", limits=BY_NEWS) as first:
        await until(lambda: delivering(first.statistics[0]))
        async with draining(where, doors[1], pod="pod-2", limits=BY_NEWS) as second:
            await until(lambda: second.statistics[0].state == SinkState.STANDBY)
            assert second.statistics[0].pod == "pod-1"
            assert second.statistics[0].backlog is None, "a sum over the pods counts an event once"
            await write(where, [said(0)])
            second.wake()
            await until(lambda: receiver.got)
    assert doors[1].given == []


async def test_pods_of_other_agents_are_not_woken(where: Address) -> None:
    receiver = ScriptedSink()
    async with draining(where, receiver.door(), limits=BY_NEWS) as pod:
        await until(lambda: delivering(pod.statistics[0]))
        async with connection(where) as other:
            await write(where, [said(0)])
            await other.execute("SELECT pg_notify('batkol_outbox', 'sales')")
            await other.execute("SELECT pg_notify('batkol_outbox', $1)", AGENT)
            await until(lambda: receiver.got)
    assert receiver.ids == ids_of(0, [0])


async def test_without_any_news_the_outbox_is_looked_at(where: Address) -> None:
    receiver = ScriptedSink()
    async with draining(where, receiver.door()) as pod:
        await until(lambda: delivering(pod.statistics[0]))
        await write(where, [said(0)])
        await until(lambda: receiver.got)
    assert receiver.ids == ids_of(0, [0])


def test_the_limits_of_the_service_are_patient_and_not_for_ever() -> None:
    limits = DrainerLimits()
    assert limits.retry.longest_s <= 60
    assert limits.look_s <= 5, "so long may a takeover take"
    with pytest.raises(AttributeError):
        limits.poll_s = 1.0  # type: ignore[misc]
