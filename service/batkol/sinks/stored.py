"""Events as the outbox has them, and what became of them, for it to note."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import msgspec


class OutboxPosition(NamedTuple):
    """A position in the outbox."""

    transaction: int
    position: int

    @property
    def before(self) -> OutboxPosition:
        """The position just before it."""
        return OutboxPosition(self.transaction, self.position - 1)


class StoredEvent(NamedTuple):
    """An event of the outbox."""

    at: OutboxPosition
    call_sid: str
    stream_sid: str
    seq: int
    agent: str
    kind: str
    time: datetime
    data: str | None
    """None: the sink does not want it."""
    attempts: int = 0
    """Attempts of its replay that failed."""


class Held(NamedTuple):
    """A stream whose events wait behind a position."""

    call_sid: str
    behind: OutboxPosition
    attempts: int
    wait_s: float
    is_asked: bool
    reason: str


@dataclass(slots=True)
class Settlement:
    """The outcome of some events."""

    delivered: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    """Reasons, by the position of the event."""
    held: dict[str, Held] = field(default_factory=dict)
    """By stream."""
    tried: list[str] = field(default_factory=list)
    """Streams that were held before; those of which nothing waits any more are free."""
    sent_again: list[int] = field(default_factory=list)
    postponed: dict[int, float] = field(default_factory=dict)
    """Waits in seconds, by the position of an event that is sent again."""
    releases: bool = False
    """Whether the receiver is well again: what waits need not wait."""
    fault: str | None = None
    """Reason of one that waits or was refused; empty: all was delivered; None: nothing was tried."""


class Waits(NamedTuple):
    """Seconds until something is to be tried again; None: nothing is."""

    stream_s: float | None
    letter_s: float | None


class Backlog(msgspec.Struct, frozen=True):
    """Figures of a sink, by the database."""

    pending: int
    """Events; counted among the next `COUNTED` of the outbox, whether the sink wants those or not."""
    oldest_s: float
    """Seconds since the oldest of them was written; 0 if there is none."""
    streams: int
    """Streams that wait for their next attempt."""
    dead_letters: int
    replays: int
    """Events that are to be sent again."""
    delivered: int
    """Events that it was given so far, by all pods."""
    expired: int
    """Events that were deleted before it took them."""
