"""What changes about a stream while it is on the way: it ends while the database is slow, or it is erased."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from batkol.sinks.commands import ReplayRequest, carry_out_replay
from batkol.sinks.delivery import Delivered, Refused
from batkol.store.options import OutboxSettings
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.erase import erase
from support.postgres.records import who
from support.postgres.sql import connection, sql
from support.sinks.pods import AGENT, LIMITS, draining, ids_of, said, write
from support.sinks.receiver import ScriptedSink
from support.time.waiting import eventually, until

STREAM, OTHER = who(0).stream_sid, who(1).stream_sid
LOOKING = replace(LIMITS, young_s=0.0)
QUIET = OutboxSettings(AGENT, ())
"""A writer that does not make the sink known: it is."""
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def while_it_cannot_note(where: Address, begin: Callable[[], Awaitable[None]], end: Callable[[], object]) -> None:
    """Keep the drainer from noting what `begin` brings about, until what `end` brings about is true.

    A lock that has no transaction number, for events behind one would not be read.
    """
    async with connection(where) as other, other.transaction():
        await other.execute("LOCK TABLE sinks IN SHARE MODE")
        await begin()
        await eventually(partial(sql, where, BLOCKED))
        await until(end)
        look_at = asyncio.get_running_loop().time() + LOOKING.poll_s
        await until(lambda: asyncio.get_running_loop().time() > look_at)  # what is due is asked right after that


async def test_a_stream_that_ends_while_another_is_noted_is_not_begun_a_second_time(where: Address) -> None:
    receiver = ScriptedSink()
    receiver.hangs = {STREAM}
    await write(where, [said(0)])
    async with draining(where, receiver.door(), limits=LOOKING) as pod:
        await eventually(partial(sql, where, "SELECT 1 FROM sink_streams"))

        def ends() -> bool:
            receiver.let_go()
            return STREAM in receiver.streams

        await while_it_cannot_note(where, lambda: write(where, [said(0, 1)], QUIET), ends)
        await eventually(partial(none_left, where, "sink_streams"))
        await until(lambda: pod.statistics[0].delivered >= 2)
    assert [event.id for event in receiver.got].count(ids_of(0, [0])[0]) == 1


async def none_left(where: Address, table: str) -> bool:
    return not await sql(where, f"SELECT 1 FROM {table}")


async def test_a_replay_that_ends_while_another_event_is_noted_is_not_sent_a_second_time(where: Address) -> None:
    receiver = ScriptedSink(script=lambda _: Refused("410 Gone"))
    await write(where, [said(0)])
    async with draining(where, receiver.door(), limits=LOOKING) as pod:
        await until(lambda: pod.statistics[0].refused == 1)
        receiver.script, receiver.hangs = (lambda _: Delivered()), {STREAM}
        assert await carry_out_replay(where.dsn, ReplayRequest(), write_line=lambda _: None) == 0
        await until(lambda: receiver.under_way)

        def ends() -> bool:
            receiver.let_go()
            return STREAM in receiver.streams

        await while_it_cannot_note(where, lambda: write(where, [said(0, 1)], QUIET), ends)
        await eventually(partial(none_left, where, "sink_letters"))
        await until(lambda: pod.statistics[0].delivered >= 2)
    assert [event.id for event in receiver.got].count(ids_of(0, [0])[0]) == 1


async def test_an_erasure_reaches_the_streams_that_were_read_and_wait_for_their_turn(where: Address) -> None:
    receiver = ScriptedSink(at_once=1)
    receiver.hangs = {STREAM}
    ahead_s = 0.0
    await write(where, [said(0), said(0, 1), said(1, 1)])
    database = Database(where, pool_size=1)

    def clock() -> float:
        return asyncio.get_running_loop().time() + ahead_s

    async with draining(where, receiver.door(), limits=replace(LIMITS, lane_s=5.0), clock=clock) as pod:
        await until(lambda: receiver.under_way)
        assert (await erase(database.reading, "+972500000001")).events == 2
        ahead_s = 6.0
        receiver.let_go()
        await until(lambda: pod.statistics[0].delivered == 3)
        await eventually(partial(none_left, where, "sink_streams"))
    await database.close()
    assert receiver.streams[OTHER] == [5, 15]
    assert ["משפט" in event.data.decode() for event in receiver.got if event.stream == OTHER] == [False, False]
