"""Lanes: streams whose events are on the way to a sink, side by side, each in its own order.

A lane is one stream's events, one after another, up to one that is to be tried again. Lanes know of no other lane but
that: at most so many have an event on the way, and the others wait for their turn. So a stream whose receiver hangs
takes one place of so many, and delays nothing else.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from batkol.sinks.delivery import DeliveryOutcome, Later
from batkol.sinks.stored import Held, StoredEvent

NOT_TRIED: Final = "the receiver failed for the events before; this event was not tried"


class LaneKind(Enum):
    """Origins of the events of a lane."""

    NEW = "new"  # read from the outbox for the first time
    WAITING = "waiting"  # of a stream that waited
    AGAIN = "again"  # of a replay


@dataclass(slots=True, eq=False)
class Lane:
    """One stream. `rest` begins with the event that is on the way."""

    kind: LaneKind
    stream_sid: str
    rest: deque[StoredEvent] = field(default_factory=deque)
    attempts: int = 0
    """Attempts that failed so far, of a stream that waited."""
    is_noted: bool = False
    """Whether the database knows that the stream waits: `Held`."""
    done: list[tuple[StoredEvent, DeliveryOutcome]] = field(default_factory=list)
    """Events that were tried since the last `take`, and what became of them."""
    read_at: float = math.inf
    begun_at: float = math.inf
    is_over: bool = False

    @property
    def has_rest(self) -> bool:
        """Whether events are left that were not tried, and need not wait."""
        return bool(self.rest) and not (self.done and isinstance(self.done[-1][1], Later))

    @property
    def held(self) -> Held:
        """The stream as one that waits behind what is done of it."""
        event = self.rest[0]
        return Held(event.call_sid, event.at.before, 0, 0.0, is_asked=False, reason="")

    def take(self) -> list[tuple[StoredEvent, DeliveryOutcome]]:
        """Return what has become of events since the last time."""
        taken, self.done = self.done, []
        if any(not isinstance(outcome, Later) for _, outcome in taken):
            self.attempts = 0
        return taken


DeliverOne: TypeAlias = Callable[[Lane, StoredEvent], Awaitable[DeliveryOutcome]]
"""Delivers one event. Never raises for what a receiver does."""


def lanes_of(kind: LaneKind, events: Iterable[StoredEvent]) -> list[Lane]:
    """Make a lane of each stream of these events."""
    lanes: dict[str, Lane] = {}
    for event in events:
        if (lane := lanes.get(event.stream_sid)) is None:
            lane = lanes[event.stream_sid] = Lane(kind, event.stream_sid)
        lane.rest.append(event)
    return list(lanes.values())


class _Streak:
    """The attempts in a row that failed, of the lanes that were begun together."""

    def __init__(self) -> None:
        self.failed = 0


class Lanes:
    """At most `at_once` of them have an event on the way. `on_change` is called when some are over.

    What was read `longest_s` ago is not handed on: a lane is over then, though there is a rest, or nothing was tried.
    """

    def __init__(
        self,
        deliver: DeliverOne,
        at_once: int,
        *,
        young_s: float,
        longest_s: float = math.inf,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._deliver = deliver
        self._at_once = at_once
        self._young_s = young_s
        self._longest_s = longest_s
        self._clock = clock
        self._on_change = on_change
        self._lanes: list[Lane] = []
        self._waiting: deque[tuple[Lane, _Streak]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._busy = 0  # workers that will look whether a lane waits
        self._defect: BaseException | None = None

    @property
    def at_once(self) -> int:
        """The most that have an event on the way at a time."""
        return self._at_once

    @property
    def open(self) -> list[Lane]:
        """Lanes that are not over."""
        return [lane for lane in self._lanes if not lane.is_over]

    @property
    def known(self) -> list[Lane]:
        """Lanes of which something is not collected: those that are open, and those that are over since."""
        return list(self._lanes)

    @property
    def has_over(self) -> bool:
        """Whether some are over, and not collected."""
        return any(lane.is_over for lane in self._lanes)

    @property
    def has_done(self) -> bool:
        """Whether anything is to be collected."""
        return any(lane.done or lane.is_over for lane in self._lanes)

    @property
    def calm_at(self) -> float:
        """Time at which no lane is young any more: those that still go on then are slow, and nothing waits for them.

        By the clock; `-math.inf` if none is open, `math.inf` while some wait for their turn.
        """
        if self._waiting:
            return math.inf
        return max((lane.begun_at + self._young_s for lane in self._lanes if not lane.is_over), default=-math.inf)

    def begin(self, lanes: Sequence[Lane]) -> None:
        """Deliver their events. Without events a lane is over at once.

        After `at_once` events in a row of these lanes that are `Later`, the receiver is taken to be down, and those
        that still wait for their turn are not tried: one that hangs costs two time-outs, however many they are.
        """
        streak = _Streak()
        for lane in lanes:
            self._lanes.append(lane)
            lane.read_at = self._clock()
            if lane.rest:
                self._waiting.append((lane, streak))
            else:
                lane.is_over = True
        for _ in range(min(len(self._waiting), self._at_once - self._busy)):
            self._busy += 1
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._end)
        if not self._waiting:
            self._on_change()

    def collect(self) -> list[Lane]:
        """Return the lanes of which something is done, and forget those that are over. Raises what a lane raised."""
        if self._defect is not None:
            raise self._defect
        found = [lane for lane in self._lanes if lane.done or lane.is_over]
        self._lanes = self.open
        return found

    async def cancel(self) -> None:
        """Cancel what is on the way, and wait until it has ended."""
        self._waiting.clear()
        self._lanes.clear()
        workers = tuple(self._workers)
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    async def _work(self) -> None:
        """Deliver lanes, one after another, until none waits."""
        try:
            while self._waiting:
                lane, streak = self._waiting.popleft()
                if not self._waiting:
                    self._on_change()  # from now on it is known when all are calm
                await self._drive(lane, streak)
        finally:
            self._busy -= 1

    async def _drive(self, lane: Lane, streak: _Streak) -> None:
        lane.begun_at = self._clock()
        while lane.rest and lane.begun_at - lane.read_at <= max(self._longest_s, self._young_s):  # it had to wait
            if streak.failed >= self._at_once:
                outcome: DeliveryOutcome = Later(NOT_TRIED)
            else:
                outcome = await self._deliver(lane, lane.rest[0])
                streak.failed = streak.failed + 1 if isinstance(outcome, Later) else 0
            lane.done.append((lane.rest.popleft(), outcome))
            if isinstance(outcome, Later) or self._clock() - lane.read_at > self._longest_s:
                break
        lane.is_over = True
        if self.calm_at <= self._clock():
            self._on_change()

    def _end(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self._defect = error
            self._on_change()
