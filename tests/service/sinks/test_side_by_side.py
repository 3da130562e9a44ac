"""Streams of one sink side by side, on a real Postgres: one that hangs, or waits, delays nothing but itself."""

import asyncio
from dataclasses import replace
from functools import partial

from batkol.sinks.commands import ReplayRequest, carry_out_replay
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.store.postgres.address import Address
from support.postgres.records import who
from support.postgres.sql import sql
from support.sinks.pods import LIMITS, draining, ids_of, said, write
from support.sinks.receiver import ScriptedSink
from support.time.waiting import eventually, until

STREAM, OTHER, THIRD = (who(call).stream_sid for call in range(3))
QUICK = replace(LIMITS, young_s=0.02)


async def held(where: Address) -> dict[str, tuple[int, str]]:
    """Attempts and reason of the streams that wait."""
    rows = await sql(where, "SELECT stream_sid, attempts, reason FROM sink_streams")
    return {row["stream_sid"]: (row["attempts"], row["reason"]) for row in rows}


async def none_waits(where: Address) -> bool:
    return not await held(where)


async def only_held(where: Address, wanted: dict[str, tuple[int, str]]) -> bool:
    return await held(where) == wanted


async def all_read(where: Address) -> bool:
    (row,) = await sql(
        where,
        "SELECT count(*) AS n FROM outbox, sinks WHERE (outbox.transaction, outbox.position) > "
        "(sinks.transaction, sinks.position)",
    )
    return bool(row["n"] == 0)


async def test_a_stream_that_hangs_delays_no_other_and_keeps_its_order(where: Address) -> None:
    receiver = ScriptedSink()
    receiver.hangs = {STREAM}
    await write(where, [said(0), said(1), said(0, 1)])
    async with draining(where, receiver.door(), limits=QUICK) as pod:
        await until(lambda: receiver.streams == {OTHER: [5]})
        for index in (1, 2, 3):
            await write(where, [said(index, 1), said(index + 1)])
            await until(partial(has, receiver, OTHER, index + 1))
        await eventually(partial(all_read, where))
        await eventually(partial(only_held, where, {STREAM: (0, "")}))  # it is on the way, and has not failed
        assert pod.statistics[0].fault == ""
        assert receiver.asked.count(ids_of(0, [0])[0]) == 1
        receiver.let_go()
        await until(partial(has, receiver, STREAM, 5))
        await eventually(partial(none_waits, where))
        await until(lambda: pod.statistics[0].delivered == 9)
    assert receiver.streams[STREAM] == [5, 15, 25, 35, 45]
    assert len(receiver.got) == 9, "each once"


def has(receiver: ScriptedSink, stream: str, count: int) -> bool:
    return len(receiver.streams.get(stream, ())) == count


async def test_what_hung_when_a_pod_ended_comes_first_and_in_order_from_the_next_one(where: Address) -> None:
    """And what the stream had before that does not come again, though it was noted while the stream was on the way."""
    receiver = ScriptedSink()
    (stuck,) = ids_of(0, [2])
    hang = asyncio.Event()

    class Hanging(type(receiver.door())):  # type: ignore[misc]  # a door whose way hangs for one event
        async def deliver(self, event: Envelope) -> DeliveryOutcome:
            if event.id == stuck and not hang.is_set():
                self.given.append(event.id)
                await asyncio.Event().wait()
            outcome: DeliveryOutcome = await super().deliver(event)
            return outcome

    first, second = Hanging(receiver), receiver.door()
    await write(where, [said(index) for index in range(4)])
    async with draining(where, first, limits=QUICK) as pod:
        await until(lambda: stuck in first.given)
        await write(where, [said(0, 1), said(4)])
        await until(lambda: pod.statistics[0].delivered == 3)
        assert receiver.streams == {STREAM: [5, 15], OTHER: [5]}
        await eventually(partial(all_read, where))
    async with draining(where, second, pod="pod-2"):
        await until(partial(has, receiver, STREAM, 5))
    assert second.given == ids_of(0, [2, 3, 4])
    assert receiver.streams[STREAM] == [5, 15, 25, 35, 45]


async def test_a_stream_that_waits_for_its_next_attempt_has_it_beside_one_that_hangs(where: Address) -> None:
    receiver, failures = ScriptedSink(), ids_of(1, [0]) * 3

    def answer(event: Envelope) -> DeliveryOutcome:
        if event.id in failures:
            failures.remove(event.id)
            return Later("HTTP 500")
        return Delivered()

    receiver.script, receiver.hangs = answer, {STREAM}
    await write(where, [said(0), said(0, 1), said(1, 1)])
    async with draining(where, receiver.door(), limits=QUICK):
        await until(lambda: receiver.streams == {OTHER: [5, 15]})
        await write(where, [said(0, 2)])
        await until(lambda: THIRD in receiver.streams)
        assert STREAM not in receiver.streams
        receiver.let_go()
        await until(partial(has, receiver, STREAM, 1))


async def test_streams_that_failed_and_hang_leave_room_for_new_ones(where: Address) -> None:
    """With four at once, two may be such as failed before, however many there are."""
    receiver = ScriptedSink(at_once=4)
    bad = {who(call).stream_sid for call in range(10)}
    receiver.script = lambda event: Later("HTTP 500") if event.stream in bad else Delivered()
    await write(where, [said(0, call) for call in range(10)])
    async with draining(where, receiver.door(), limits=replace(QUICK, away_after=100)):
        await until(lambda: len(set(receiver.asked)) == 10)
        receiver.hangs = set(bad)
        await eventually(partial(all_read, where))
        for call in range(20, 24):
            await write(where, [said(0, call)])
            await until(partial(has, receiver, who(call).stream_sid, 1))
        assert not bad & receiver.streams.keys()
        bad.clear()
        receiver.let_go()
        await until(lambda: len(receiver.streams) == 14)
    assert receiver.most_at_once <= 4


async def test_no_more_streams_hang_at_once_than_the_sink_allows_and_none_of_the_others_is_lost(where: Address) -> None:
    receiver = ScriptedSink(at_once=4)
    receiver.hangs = {who(call).stream_sid for call in range(12)}
    await write(where, [said(index, call) for index in range(2) for call in range(12)])
    async with draining(where, receiver.door(), limits=QUICK) as pod:
        await until(lambda: len(receiver.asked) == 4)
        await write(where, [said(2, call) for call in range(12)])
        await until(lambda: (backlog := pod.statistics[0].backlog) and backlog.pending == 36)
        assert len(receiver.asked) == 4
        receiver.let_go()
        await until(lambda: len(receiver.ids) == 36)
        await eventually(partial(none_waits, where))
    assert receiver.most_at_once == 4
    assert all(seqs == [5, 15, 25] for seqs in receiver.streams.values())


async def test_who_has_no_room_for_what_is_due_waits_and_does_not_look_without_a_pause(where: Address) -> None:
    receiver = ScriptedSink(at_once=2)
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return asyncio.get_running_loop().time()

    receiver.script = lambda event: Later("HTTP 429", 600.0) if event.stream == STREAM else Delivered()
    await write(where, [said(0)])
    async with draining(where, receiver.door(), limits=QUICK, clock=clock) as pod:
        await eventually(partial(held, where))
        receiver.hangs = {OTHER, THIRD}
        await write(where, [said(0, 1), said(0, 2)])
        await until(lambda: receiver.under_way == 2)
        await eventually(partial(all_read, where))
        await sql(where, "UPDATE sink_streams SET due_at = now()")
        looks = 0
        for _ in range(4):
            before = pod.statistics[0].backlog
            await until(lambda: pod.statistics[0].backlog is not before)  # noqa: B023  it is awaited here
        assert looks < 2_000, "some hundred: one for each of a few turns"
        assert receiver.asked.count(ids_of(0, [0])[0]) == 1
        receiver.script = lambda _: Delivered()
        receiver.let_go()
        await until(lambda: len(receiver.streams) == 3)


async def test_a_replay_that_hangs_delays_no_new_event_and_no_other_replay(where: Address) -> None:
    receiver, refuses = ScriptedSink(), {*ids_of(0, [0]), *ids_of(1, [0])}
    receiver.script = lambda event: Refused("410 Gone") if event.id in refuses else Delivered()
    await write(where, [said(0), said(0, 1)])
    async with draining(where, receiver.door(), limits=QUICK) as pod:
        await until(lambda: pod.statistics[0].refused == 2)
        refuses.clear()
        receiver.hangs = {STREAM}
        assert await carry_out_replay(where.dsn, ReplayRequest(), write_line=lambda _: None) == 0
        await until(partial(has, receiver, OTHER, 1))
        await write(where, [said(0, 2)])
        await until(partial(has, receiver, THIRD, 1))
        assert STREAM not in receiver.streams
        receiver.let_go()
        await until(partial(has, receiver, STREAM, 1))
        await eventually(partial(no_letters, where))


async def test_many_replays_that_hang_leave_room_for_new_events(where: Address) -> None:
    receiver = ScriptedSink(at_once=4, script=lambda _: Refused("410 Gone"))
    late = {who(call).stream_sid for call in range(8)}
    await write(where, [said(0, call) for call in range(8)])
    async with draining(where, receiver.door(), limits=QUICK) as pod:
        await until(lambda: pod.statistics[0].refused == 8)
        receiver.script, receiver.hangs = (lambda _: Delivered()), set(late)
        assert await carry_out_replay(where.dsn, ReplayRequest(), write_line=lambda _: None) == 0
        await until(lambda: len(receiver.asked) == 8 + 2)
        for call in (20, 21):
            await write(where, [said(0, call)])
            await until(partial(has, receiver, who(call).stream_sid, 1))
        assert not late & receiver.streams.keys()
        receiver.let_go()
        await until(lambda: len(receiver.streams) == 10)
        await eventually(partial(no_letters, where))


async def no_letters(where: Address) -> bool:
    return not await sql(where, "SELECT 1 FROM sink_letters")
