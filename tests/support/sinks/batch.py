"""Batches of events, as the drainer hands them to a sink: lanes side by side, each stream in its own order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from batkol.sinks.delivery import DeliveryOutcome, Envelope, Later, Sink
from batkol.sinks.lanes import Lane, LaneKind, Lanes, lanes_of
from batkol.sinks.stored import OutboxPosition, StoredEvent

BEHIND = Later("an earlier event of its stream is not delivered yet")


def stored_event(event: Envelope, position: int) -> StoredEvent:
    """The event as the outbox has it."""
    return StoredEvent(
        OutboxPosition(7, position), event.call_sid, event.stream, event.seq, event.agent, event.type, event.time,
        event.data.decode(),
    )  # fmt: skip


async def deliver(sink: Sink, events: Sequence[Envelope]) -> list[DeliveryOutcome]:
    """Deliver a batch; return one outcome an event, `BEHIND` for those behind one that is `Later`."""
    changed = asyncio.Event()

    async def one(_: Lane, event: StoredEvent) -> DeliveryOutcome:
        return await sink.deliver(events[event.at.position])

    lanes = Lanes(one, sink.at_once, young_s=0.0, clock=asyncio.get_running_loop().time, on_change=changed.set)
    outcomes: list[DeliveryOutcome] = [BEHIND] * len(events)
    lanes.begin(lanes_of(LaneKind.NEW, [stored_event(event, at) for at, event in enumerate(events)]))
    try:
        while lanes.open or lanes.has_over:
            await changed.wait()
            changed.clear()
            for lane in lanes.collect():
                for event, outcome in lane.take():
                    outcomes[event.at.position] = outcome
    finally:
        await lanes.cancel()
    return outcomes
