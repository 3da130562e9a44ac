"""The database's clock is set: what it had written down as a time to come, or as a time that is over, holds nothing."""

from dataclasses import replace

import pytest

from batkol.backoff import Backoff
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.outbox import SinkOutbox
from batkol.sinks.settling import LONGEST_ASKED_S
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import Database, engine_without_timeout
from batkol.store.postgres.outbox_retention import forget_sinks
from support.postgres.records import who
from support.postgres.sql import sql
from support.sinks.pods import CRM, LIMITS, draining, ids_of, said, write
from support.sinks.receiver import ScriptedSink
from support.time.waiting import eventually, until

DAY = "interval '1 day'"
PATIENT = replace(LIMITS, retry=Backoff(first_s=600.0, longest_s=600.0, uniform=lambda: 0.0))
"""Nothing is due in the course of a test, unless the database's clock makes it so."""


async def test_a_stream_whose_time_is_a_day_away_after_the_clock_was_set_back_is_tried_at_once(where: Address) -> None:
    """Clocks jump: as if it was noted by a clock that was a day ahead."""
    receiver, busy = ScriptedSink(), {who(call).stream_sid: after for call, after in enumerate((None, 1800.0, 1800.0))}

    def answer(event: Envelope) -> DeliveryOutcome:
        return Later("busy", busy[event.stream]) if event.stream in busy else Delivered()

    receiver.script = answer
    await write(where, [said(0, call) for call in range(3)])
    async with draining(where, receiver.door(), limits=PATIENT):
        await eventually(lambda: sql(where, "SELECT 1 FROM sink_streams HAVING count(*) = 3"))
        busy.clear()
        for call in (0, 1):
            moved = f"UPDATE sink_streams SET due_at = due_at + {DAY} WHERE stream_sid = $1"
            await sql(where, moved, who(call).stream_sid)
        await eventually(lambda: sql(where, "SELECT 1 FROM sink_streams HAVING count(*) = 1"))
        rows = await sql(where, "SELECT stream_sid FROM sink_streams")
    assert sorted(receiver.ids) == sorted([*ids_of(0, [0]), *ids_of(1, [0])])
    assert [row["stream_sid"] for row in rows] == [who(2).stream_sid], "half an hour was asked for, and is kept"
    assert LONGEST_ASKED_S > 1800.0


async def test_a_replay_whose_time_is_a_day_away_is_sent_at_once(where: Address) -> None:
    receiver = ScriptedSink(script=lambda _: Refused("410 Gone"))
    await write(where, [said(0)])
    async with draining(where, receiver.door(), limits=PATIENT) as pod:
        await until(lambda: pod.statistics[0].refused == 1)
        receiver.script = lambda _: Delivered()
        await sql(where, f"UPDATE sink_letters SET again_at = now() + {DAY}")
        await until(lambda: pod.statistics[0].delivered == 1)
        left = await sql(where, "SELECT 1 FROM sink_letters")
    assert receiver.ids == ids_of(0, [0])
    assert left == []


async def test_events_that_a_clock_wrote_that_is_ahead_have_waited_for_no_negative_time(where: Address) -> None:
    receiver = ScriptedSink(script=lambda _: Later("busy"))
    await write(where, [said(0)])
    await sql(where, f"UPDATE outbox SET written_at = now() + {DAY}")
    async with draining(where, receiver.door(), limits=PATIENT) as pod:
        await until(lambda: (backlog := pod.statistics[0].backlog) and backlog.streams)
        backlog = pod.statistics[0].backlog
    assert backlog is not None
    assert (backlog.pending, backlog.oldest_s) == (1, 0.0)


async def test_events_that_a_clock_wrote_that_is_ahead_are_looked_for_while_they_are_held_back(where: Address) -> None:
    receiver = ScriptedSink()
    limits = replace(PATIENT, poll_s=600.0, backlog_s=600.0)
    engine = engine_without_timeout(where)
    async with draining(where, receiver.door(), limits=limits) as pod, engine.connect() as open_:
        await until(lambda: pod.statistics[0].backlog)
        await write(where, [said(0)])
        await save(open_, batch_of([said(0, 1)]), CRM)
        await write(where, [said(0, 2)])
        await sql(where, f"UPDATE outbox SET written_at = now() + {DAY}")
        pod.wake()
        await until(lambda: pod.statistics[0].delivered == 1)
        assert pod.statistics[0].held_back_s == 0.0
        await open_.rollback()
        await until(lambda: len(receiver.ids) == 2)
    await engine.dispose()
    assert receiver.ids == [*ids_of(0, [0]), *ids_of(2, [0])]


async def test_a_transaction_that_ends_between_two_questions_keeps_no_event_back(
    where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, engine, asked = ScriptedSink(), engine_without_timeout(where), SinkOutbox.held_back_s
    limits = replace(PATIENT, poll_s=600.0, backlog_s=600.0)
    async with draining(where, receiver.door(), limits=limits) as pod, engine.connect() as open_:
        await until(lambda: pod.statistics[0].backlog)
        await save(open_, batch_of([said(0, 1)]), CRM)
        await write(where, [said(0, 2)])

        async def after_its_end(outbox: SinkOutbox) -> float | None:
            await open_.rollback()  # nothing was found to be next, and then nothing waits for it any more
            return await asked(outbox)

        monkeypatch.setattr(SinkOutbox, "held_back_s", after_its_end)
        pod.wake()
        await until(lambda: receiver.ids)
    await engine.dispose()
    assert receiver.ids == ids_of(2, [0])


async def test_a_sink_that_a_pod_has_is_not_forgotten_because_the_clock_was_set_forward(where: Address) -> None:
    receiver = ScriptedSink()
    database = Database(where, pool_size=1)
    await write(where, [said(0)])
    async with draining(where, receiver.door()) as pod:
        await until(lambda: pod.statistics[0].delivered == 1)  # its position is noted, and its time with it
        await sql(where, "UPDATE sinks SET seen_at = now() - interval '8 days'")
        assert await forget_sinks(database.reading) == 0
    assert await forget_sinks(database.reading) == 1, "no pod has it any more"
    await database.close()
