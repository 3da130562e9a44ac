"""The order in which one batch of events is delivered: each stream in its own order, several streams side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from batkol.sinks.delivery import DeliveryOutcome, Envelope, Later

DeliverOne: TypeAlias = Callable[[Envelope], Awaitable[DeliveryOutcome]]
"""Delivers one event. Never raises for what a receiver does."""


async def deliver_in_order(events: Sequence[Envelope], deliver: DeliverOne, *, at_once: int) -> list[DeliveryOutcome]:
    """Deliver a batch, and return one outcome an event, in the same order.

    At most `at_once` streams have an event on the way. Behind an event that is `Later`, the others of its stream are
    `Later`, too. After `at_once` events in a row that are `Later`, of whatever streams, the receiver is taken to be
    down, and the rest of the batch is not tried: one that hangs costs a batch two time-outs at most, however long the
    batch is. Cancelling it cancels what is on the way.
    """
    batch = _Batch(events, deliver, at_once)
    if batch.streams == 1:
        await batch.work()
    else:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(at_once, batch.streams)):
                tasks.create_task(batch.work())
    return batch.outcomes


class _Batch:
    """One batch, its outcomes so far, and how the receiver does."""

    def __init__(self, events: Sequence[Envelope], deliver: DeliverOne, at_once: int) -> None:
        self._events = events
        self._deliver = deliver
        self._most = at_once
        self._in_a_row = 0  # events that are `Later`, with none that is not in between
        by_stream: dict[str, list[int]] = {}
        for place, event in enumerate(events):
            by_stream.setdefault(event.stream, []).append(place)
        self._waiting = deque(by_stream.values())
        self.streams = len(by_stream)
        self.outcomes: list[DeliveryOutcome] = [Later("the delivery has not begun")] * len(events)

    async def work(self) -> None:
        """Deliver streams, one after another, until none waits."""
        while self._waiting:
            await self._deliver_stream(self._waiting.popleft())

    async def _deliver_stream(self, places: list[int]) -> None:
        held: Later | None = None
        for place in places:
            outcome = held or await self._deliver_event(self._events[place])
            self.outcomes[place] = outcome
            if held is None and isinstance(outcome, Later):
                held = Later("an earlier event of its stream is not delivered yet", outcome.after_s)

    async def _deliver_event(self, event: Envelope) -> DeliveryOutcome:
        if self._in_a_row >= self._most:
            return Later("the receiver failed for the events before; this event was not tried")
        outcome = await self._deliver(event)
        self._in_a_row = self._in_a_row + 1 if isinstance(outcome, Later) else 0
        return outcome
