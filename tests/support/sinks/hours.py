"""An hour without the bus, in seconds: the drainer's clock is moved, and what the database has as a time to come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from batkol.backoff import Backoff
from batkol.sinks.drainers import Drainers
from batkol.sinks.limits import LIMITS
from batkol.sinks.nats.connection import NatsLimits
from batkol.sinks.nats.sink import NatsSink
from batkol.sinks.statistics import SinkState
from batkol.store.postgres.address import Address
from support.postgres.records import who
from support.postgres.sql import sql
from support.sinks.pods import draining, said, write
from support.time.waiting import until

CALLS = 120
"""More than the streams that may wait before a sink seems to be away."""
EACH = 13
"""Finals of each call: the first before the outage, the others in its course."""
STEP_S = 30.0


class Outage(NamedTuple):
    """What an outage of an hour came to."""

    fault: str
    """What the sink said at its end."""
    delivered: int
    """Events that the sink took for delivered in its course."""
    retries: int
    waited_s: float
    """From the return of the bus until all was delivered, by the drainer's clock."""
    transactions: int
    """Those of the database, of the test and of the way there and back too."""


class _Hours:
    """`clock` is for the drainers."""

    def __init__(self, where: Address) -> None:
        self.now_s = 1_000.0
        self._where = where

    def clock(self) -> float:
        return self.now_s

    async def passes(self, pod: Drainers, seconds: float) -> None:
        """Have so many seconds pass, and what is due then done."""
        self.now_s += seconds
        await sql(self._where, f"UPDATE sink_streams SET due_at = due_at - interval '{seconds} seconds'")
        async with asyncio.timeout(60):
            await pod.caught_up()


async def transactions(where: Address) -> int:
    """Those that the database has counted; a connection tells of its last ones when it ends."""
    count = "SELECT xact_commit + xact_rollback AS n FROM pg_stat_database WHERE datname = current_database()"
    (row,) = await sql(where, count)
    return int(row["n"])


async def hour_without(
    url: str, where: Address, leave: Callable[[], Awaitable[None]], come_back: Callable[[], Awaitable[None]]
) -> Outage:
    """Take the bus away for an hour of the drainer's time, while calls go on; it is back, and everything is delivered.

    Raises `AssertionError` if that takes longer than the longest wait.
    """
    hours, before = _Hours(where), await transactions(where)
    sink = NatsSink("crm", [url], limits=NatsLimits(backoff=Backoff(0.0, 0.0)))
    async with draining(where, sink, limits=LIMITS, clock=hours.clock) as pod:
        await until(lambda: pod.statistics[0].state == SinkState.DELIVERING)
        await write(where, [said(0, call) for call in range(CALLS)])
        await hours.passes(pod, STEP_S)
        assert pod.statistics[0].delivered == CALLS
        await leave()
        for step in range(int(3600 / STEP_S)):
            if step % 10 == 0:
                await write(where, [said(1 + step // 10, call) for call in range(CALLS)])
            await hours.passes(pod, STEP_S)
        fault, delivered, retries = (
            pod.statistics[0].fault,
            pod.statistics[0].delivered - CALLS,
            pod.statistics[0].retries,
        )
        await come_back()
        waited_s = 0.0
        while pod.statistics[0].delivered < EACH * CALLS:
            assert waited_s <= LIMITS.retry.longest_s, "the bus is back, and the longest wait is over"
            await hours.passes(pod, 5.0)
            waited_s += 5.0
    return Outage(fault, delivered, retries, waited_s, await transactions(where) - before)


async def check(outage: Outage, where: Address, stored: list[str]) -> None:
    """Check what came of it; `stored` are the ids that the bus has, in order."""
    assert "cannot be reached" in outage.fault
    assert outage.delivered == 0
    assert len(stored) == EACH * CALLS, "nothing is lost, and nothing is there twice"
    for call in range(CALLS):
        stream = who(call).stream_sid
        assert [each for each in stored if each.startswith(f"{stream}-")] == [
            f"{stream}-{10 * index + 5}" for index in range(EACH)
        ]
    assert await sql(where, "SELECT 1 FROM sink_letters") == [], "no outage makes a dead letter"
    assert await sql(where, "SELECT 1 FROM sink_streams") == []
    assert outage.retries < 600, "a stream now and then, and not each of those that wait"
    assert outage.transactions < 5_400, "three in two seconds, those of the test included"
