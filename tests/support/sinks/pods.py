"""Pods as far as sinks go: what writes events with the records of calls, and what drains them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec

from batkol.backoff import Backoff
from batkol.events.events import Event
from batkol.events.outgoing import outgoing
from batkol.sinks.delivery import Sink
from batkol.sinks.drainers import DrainerOptions, Drainers, Pod, running_drainers
from batkol.sinks.feed import SinkFeed
from batkol.sinks.limits import DrainerLimits
from batkol.store.journal.records import AnyRecord, record_of
from batkol.store.options import DatabaseTimeouts, OutboxSettings
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import engine_without_timeout
from batkol.supervision.tasks import Tasks
from support.postgres.records import ended_event, final_event, started_event, who
from support.postgres.sql import sql

AGENT = "reception"
CRM = OutboxSettings(AGENT, ("crm",))
LIMITS = DrainerLimits(
    retry=Backoff(first_s=0.01, longest_s=0.05),
    reconnect=Backoff(first_s=0.01, longest_s=0.05),
    poll_s=0.05,
    look_s=0.05,
    held_back_s=0.01,
    backlog_s=0.05,
)
"""The service's, but quicker."""
PATIENT = DatabaseTimeouts()
"""The service's: a drainer whose well database is too slow for its limits delivers again what it could not note."""


def handed_on(event: Event, call: int = 0, stream: int = 0, **of: object) -> AnyRecord:
    """The record of an event, with the event. Each call has a caller of its own: calls of one wait for each other."""
    caller = {"caller": f"+9725{call:08}"} if call else {}
    whose = who(call, stream, **{**caller, **of})
    event = msgspec.structs.replace(event, stream_sid=whose.stream_sid, id="")
    record = record_of(event, whose, None)
    assert record is not None
    return msgspec.structs.replace(record, event=outgoing(event))


def said(index: int, call: int = 0, **fields: object) -> AnyRecord:
    """A final of a call."""
    return handed_on(final_event(index, call, at=time.time(), **fields), call)


def whole(call: int = 0, finals: int = 2) -> list[AnyRecord]:
    """All of a call."""
    return [
        handed_on(started_event(call), call),
        *(said(index, call) for index in range(finals)),
        handed_on(ended_event(call), call),
    ]


def ids_of(call: int, finals: Iterable[int], stream: int = 0) -> list[str]:
    """The ids of these finals."""
    return [f"{who(call, stream).stream_sid}-{10 * index + 5}" for index in finals]


async def write(where: Address, records: Sequence[AnyRecord], outbox: OutboxSettings | None = CRM) -> None:
    """Write records as a pod does, in a transaction."""
    engine = engine_without_timeout(where)
    async with engine.begin() as connection:
        await save(connection, batch_of(records), outbox)
    await engine.dispose()


@asynccontextmanager
async def draining(
    where: Address,
    *sinks: Sink | SinkFeed,
    pod: str = "pod-1",
    limits: DrainerLimits = LIMITS,
    agent: str = AGENT,
    clock: Callable[[], float] | None = None,
    patience: DatabaseTimeouts = PATIENT,
) -> AsyncIterator[Drainers]:
    """A pod that drains."""
    feeds = [sink if isinstance(sink, SinkFeed) else SinkFeed(sink) for sink in sinks]
    options = DrainerOptions(patience=patience, limits=limits, clock=clock)
    async with running_drainers(feeds, where, Pod(agent, pod), Tasks(), options) as running:
        yield running
    assert [violation for feed in feeds for violation in getattr(feed.sink, "violations", ())] == []


async def events(where: Address) -> list[tuple[str, str]]:
    """What is in the outbox: ids and data, in order."""
    rows = await sql(where, "SELECT stream_sid, seq, data FROM outbox ORDER BY transaction, position")
    return [(f"{row['stream_sid']}-{row['seq']}", row["data"]) for row in rows]
