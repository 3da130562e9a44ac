"""The seam to the sinks: events as they go out, the sink that takes them, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

import msgspec


class Envelope(msgspec.Struct, frozen=True):
    """One event as it goes out."""

    id: str
    """`{stream_sid}-{seq}`, the same in server-sent events and in the store. A receiver keeps one event of an id."""
    type: str
    """The type of the event, such as `final`."""
    time: datetime
    """Time of the event, in UTC."""
    call_sid: str
    stream: str
    """The SID of its stream: events of one stream arrive in the order of `seq`."""
    seq: int
    agent: str
    data: bytes
    """The event as JSON: byte for byte the data of a server-sent event for a reader with all rights."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has the event."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take the event, whatever is tried: it becomes a dead letter. Its stream goes on."""

    reason: str
    """A sentence for an operator, without numbers, texts and secrets."""


@dataclass(frozen=True, slots=True)
class Later:
    """The event is to be tried again; the later events of its stream wait for it."""

    reason: str
    """A sentence for an operator, without numbers, texts and secrets."""
    after_s: float | None = None
    """The wait that the receiver asked for, in seconds; None: the drainer's own."""


DeliveryOutcome: TypeAlias = Delivered | Refused | Later


class Sink(Protocol):
    """One receiver of events."""

    @property
    def name(self) -> str:
        """The name in the settings, in metrics and in the database."""
        ...

    @property
    def at_once(self) -> int:
        """The most events that it may be given at the same time. Of one stream they are at most two: a new one, or one
        that waited, and one that is sent again (`batkol sinks replay`)."""
        ...

    async def deliver(self, event: Envelope) -> DeliveryOutcome:
        """Deliver an event. It has several callers at a time.

        The events of one stream come one after another. One that is sent again is none of that order: it may come
        beside a new one of its stream, which does not wait for it.

        Never raises for what a receiver does. Cancelling loses nothing: what has no outcome is delivered again, so a
        receiver may get an event twice.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
