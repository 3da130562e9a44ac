"""The feed of one sink: which events it gets, what is shown of them, and how they are handed over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC
from typing import Final

import msgspec
import structlog

from batkol.events.events import event_id
from batkol.events.outgoing import OUTGOING, seen_with
from batkol.faults import fault_of, frames_of
from batkol.rights import ALL_RIGHTS, Right
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused, Sink
from batkol.sinks.stored import StoredEvent

UNREADABLE: Final = "a newer version of the service wrote this event; this one cannot take texts or numbers out of it"
_DECIDING: Final = frozenset({Right.NUMBERS, Right.TEXTS})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SinkFeed:
    """A sink and its wishes."""

    sink: Sink
    kinds: frozenset[str] = frozenset(OUTGOING)
    """Types of events, of `OUTGOING`."""
    may: frozenset[Right] = ALL_RIGHTS
    """Without `numbers`, or without `texts`, those are empty."""

    @property
    def name(self) -> str:
        """The sink's."""
        return self.sink.name

    @property
    def at_once(self) -> int:
        """The most events that the sink may be given at the same time."""
        return self.sink.at_once

    async def deliver(self, event: StoredEvent, within_s: float) -> DeliveryOutcome:
        """Hand an event over; return what became of it.

        A sink that raises, or that has not ended after `within_s`, counts as one that wants the event later. An event
        that cannot be shown as the sink may see it is refused, and holds nothing back.
        """
        envelope = self._envelope(event)
        if envelope is None:
            return Refused(UNREADABLE)
        try:
            async with asyncio.timeout(within_s):
                return _checked(await self.sink.deliver(envelope))
        except Exception as error:  # noqa: BLE001 -- whatever a sink raises: the event stays, and comes again
            fault = fault_of(error)
            log.error(
                "[SINK] sink failed because of a defect in it; its events are delivered again",
                sink=self.name,
                fault=fault,
                frames=frames_of(error),
            )
            return Later(f"the sink failed because of a defect in it: {fault}")

    def _envelope(self, event: StoredEvent) -> Envelope | None:
        data = event.data or ""
        if not self.may >= _DECIDING:
            try:
                data = seen_with(data, self.may)
            except msgspec.DecodeError:
                return None
        return Envelope(
            id=event_id(event.stream_sid, event.seq),
            type=event.kind,
            time=event.time.astimezone(UTC),
            call_sid=event.call_sid,
            stream=event.stream_sid,
            seq=event.seq,
            agent=event.agent,
            data=data.encode(),
        )


def _checked(outcome: DeliveryOutcome) -> DeliveryOutcome:
    if not isinstance(outcome, Delivered | Refused | Later):
        raise TypeError(f"a sink gave {type(outcome).__name__}, which is no outcome")
    return outcome
