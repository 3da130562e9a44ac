"""The event ring: the newest events of the process, for subscribers that come back.

The bus appends each event; nothing here waits. What a newer event replaces goes first: a partial that a newer one or
the final replaced, a tentative that no longer stands, each some seconds after that. A reader that comes back later has
lost nothing by it. Everything else stays until the ring has more events or bytes than it may, or until it is old; the
ring remembers up to where it let go, so that a reader that asks for more hears of the gap.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

from batkol.events.cursor import Cursor
from batkol.events.events import (
    CallEnded,
    Event,
    FinalText,
    PartialText,
    TentativeText,
    TentativeWithdrawn,
    UtteranceEvent,
    encode,
)
from batkol.events.redaction import redacted
from batkol.rights import Right


class RingLimits(NamedTuple):
    """Limits of the ring."""

    events: int = 10_000
    bytes_: int = 8 << 20
    """Bytes of JSON. The events themselves and the views of them that readers asked for are several times that."""
    replaced_s: float = 10.0
    """Seconds for which an event stays after a newer one has replaced it."""
    kept_s: float = 900.0
    """Seconds for which any event stays: texts of callers are not kept in memory for ever."""


LIMITS: Final = RingLimits()

LOOK_S: Final = 1.0
"""Seconds between two looks for events that are too old, while events come. A reader makes one of its own."""


class KeptEvent:
    """An event with its number, its agent, and its JSON for each set of rights that a reader had so far."""

    __slots__ = ("_views", "agent", "at", "event", "is_rehearsal", "json", "number")

    def __init__(self, number: int, event: Event, agent: str, at: float, *, is_rehearsal: bool = False) -> None:
        self.number = number
        """Counts the events of the process from 1."""
        self.event = event
        self.agent = agent
        self.is_rehearsal = is_rehearsal
        """Whether the stream is one of a rehearsal, of which nothing leaves the pod but to those who follow it."""
        self.at = at
        """Seconds, by the ring's clock."""
        self.json = encode(event)
        """The whole event."""
        self._views: dict[frozenset[Right], bytes] | None = None

    def seen_with(self, view: frozenset[Right]) -> bytes:
        """Return the JSON of what a reader with this view may see (`redaction.view`); made once for each view."""
        if self._views is None:
            self._views = {}
        if (found := self._views.get(view)) is None:
            seen = redacted(self.event, view)
            found = self._views[view] = self.json if seen is self.event else encode(seen)
        return found


class Replay(NamedTuple):
    """The events that a reader missed before it came back."""

    start: int
    """The number that the reader continues from."""
    has_gap: bool
    """Whether events may be missing before `events`: the ring let them go, or does not know the reader's cursor."""
    events: list[KeptEvent]


_Utterance = tuple[str, str, int]
"""An utterance: the SIDs of its call and stream, and its index."""


class EventRing:
    """One per process. Numbers the events, and keeps the newest."""

    def __init__(
        self, limits: RingLimits = LIMITS, *, boot: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.boot = boot or secrets.token_hex(8)
        """Random for each process, so that another process's cursor is not taken for its own."""
        self.newest = 0
        """The number of the newest event."""
        self.lost = 0
        """The number of the newest event that it had to let go; older ones are gone as well."""
        self.bytes_kept = 0
        self._limits = limits
        self._clock = clock
        self._look_at = 0.0  # when events that are too old are next looked for
        self._events: OrderedDict[int, KeptEvent] = OrderedDict()  # by number
        self._replaced: deque[tuple[float, KeptEvent]] = deque()  # with the time at which it was replaced
        self._standing: dict[_Utterance, dict[type[Event], KeptEvent]] = {}  # the newest partial and tentative of each

    def __len__(self) -> int:
        return len(self._events)

    @property
    def cursor(self) -> Cursor:
        """The place behind the newest event."""
        return Cursor(self.boot, self.newest)

    def append(self, event: Event, agent: str = "", *, is_rehearsal: bool = False) -> KeptEvent:
        """Number the event and keep it. Called on the media path: never waits."""
        now = self._clock()
        self.newest += 1
        kept = KeptEvent(self.newest, event, agent, now, is_rehearsal=is_rehearsal)
        self._events[kept.number] = kept
        self.bytes_kept += len(kept.json)
        if isinstance(event, UtteranceEvent):
            self._replace(event, kept, now)
        elif type(event) is CallEnded:
            self._end(event, now)
        if self._is_full() or now >= self._look_at:
            self._look_at = now + LOOK_S
            self._let_go(now)
        return kept

    def after(self, cursor: Cursor) -> Replay:
        """Return what is kept of the events behind the cursor.

        All that is kept, and a gap, if the cursor is of another process, or of no event so far.
        """
        self._let_go(self._clock())
        is_known = cursor.boot == self.boot and self.lost <= cursor.number <= self.newest
        start = cursor.number if is_known else self.lost
        missed: list[KeptEvent] = []
        for kept in reversed(self._events.values()):
            if kept.number <= start:
                break
            missed.append(kept)
        missed.reverse()
        return Replay(start, not is_known, missed)

    def has_call(self, call_sid: str) -> bool:
        """Whether any event of that call is kept."""
        return any(kept.event.call_sid == call_sid for kept in self._events.values())

    # -- what a newer event replaces -----------------------------------------------------------------------------

    def _replace(self, event: UtteranceEvent, kept: KeptEvent, now: float) -> None:
        """Take note that older events of the utterance no longer say anything that holds."""
        kind = type(event)
        utterance = (event.call_sid, event.stream_sid, event.index)
        if kind is PartialText or kind is TentativeText:
            standing = self._standing.setdefault(utterance, {})
            if (before := standing.get(kind)) is not None:
                self._replaced.append((now, before))
            standing[kind] = kept
        elif kind is FinalText:
            self._replaced.extend((now, each) for each in self._standing.pop(utterance, {}).values())
        elif kind is TentativeWithdrawn:
            standing = self._standing.get(utterance, {})
            if (tentative := standing.get(TentativeText)) is not None:
                self._replaced.append((now, tentative))
                self._forget_standing(tentative)

    def _end(self, ended: CallEnded, now: float) -> None:
        """Nothing stands any more of a stream that is done."""
        for utterance in [each for each in self._standing if each[:2] == (ended.call_sid, ended.stream_sid)]:
            self._replaced.extend((now, each) for each in self._standing.pop(utterance).values())

    # -- what goes -----------------------------------------------------------------------------------------------

    def _let_go(self, now: float) -> None:
        limits = self._limits
        while self._replaced and (self._is_full() or self._replaced[0][0] <= now - limits.replaced_s):
            _, kept = self._replaced.popleft()
            if self._events.pop(kept.number, None) is not None:
                self.bytes_kept -= len(kept.json)
        while self._events and (self._is_full() or next(iter(self._events.values())).at <= now - limits.kept_s):
            _, kept = self._events.popitem(last=False)
            self.bytes_kept -= len(kept.json)
            self.lost = kept.number
            self._forget_standing(kept)

    def _is_full(self) -> bool:
        return len(self._events) > self._limits.events or self.bytes_kept > self._limits.bytes_

    def _forget_standing(self, kept: KeptEvent) -> None:
        event = kept.event
        if isinstance(event, UtteranceEvent):
            utterance = (event.call_sid, event.stream_sid, event.index)
            standing = self._standing.get(utterance, {})
            if standing.get(type(event)) is kept:
                del standing[type(event)]
                if not standing:
                    del self._standing[utterance]
