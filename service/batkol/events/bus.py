"""The bus: gives each event to every subscriber, and never waits for one.

Each event goes into the ring first (`events.ring`), for subscribers that come back. Every subscriber has a bounded
queue of its own. One that is slow loses its own partials and tentatives, oldest first; finals and the other events are
kept for it up to a hard limit, and a subscriber that still does not read is disconnected. The publisher, which is the
media path, only appends.

What withdraws or replaces a tentative is never dropped: no subscriber believes that one stands which does not. So a
subscriber may get a `withdrawn` of a tentative that it never got, and a final that confirms one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Final, Self

import structlog

from batkol.events.events import CallEnded, CallStarted, Event, PartialText, TentativeText
from batkol.events.filter import EVERYTHING, EventFilter
from batkol.events.identity import REHEARSAL
from batkol.events.ring import EventRing, KeptEvent
from batkol.status import EventsStatus

CAPACITY: Final = 256
"""Events that wait for one subscriber before its partials and tentatives are dropped."""

LIMIT: Final = 20 * CAPACITY
"""Events that wait for one subscriber before it is taken for gone."""

_DROPPED: Final = frozenset({PartialText, TentativeText})
"""The events that a slow subscriber loses."""

log = structlog.get_logger()


class Subscription:
    """One listener's queue; a context manager and an asynchronous iterator. Closing it ends the iteration."""

    def __init__(self, bus: Bus, call_sid: str | None, only: EventFilter, capacity: int) -> None:
        self._bus = bus
        self._call_sid = call_sid
        self._only = only
        self._capacity = capacity
        self._events: OrderedDict[int, KeptEvent] = OrderedDict()  # by number
        self._droppable: deque[int] = deque()  # the numbers of those that may be dropped
        self._more = asyncio.Event()
        self._closed = False
        self.on_close: Callable[[], None] | None = None
        """Called once, when no more events will come, for a subscriber that does not wait in the iteration."""
        self.dropped = 0
        """Partials and tentatives this subscriber was too slow for."""

    def offer(self, kept: KeptEvent) -> None:
        """Queue the event, if it is for this subscriber. Never waits."""
        event = kept.event
        if not self._is_for(event, kept.agent):
            return
        if len(self._events) >= self._capacity and not self._makes_room_for(event):
            return
        self._events[kept.number] = kept
        if type(event) in _DROPPED:
            self._droppable.append(kept.number)
        self._more.set()

    def _is_for(self, event: Event, agent: str) -> bool:
        if self._call_sid is None:
            return self._only.matches(event, agent)
        if event.call_sid != self._call_sid:
            return False
        return type(event) is CallEnded or self._only.matches(event, agent)

    def follows(self, call_sid: str) -> bool:
        """Whether this subscription is for that call alone."""
        return self._call_sid == call_sid

    def is_over(self, call_sid: str) -> bool:
        """Whether this subscription is for that call alone, and no stream of the call is open here or waits to end."""
        if not self.follows(call_sid) or self._bus.goes_on(call_sid):
            return False
        return not any(type(kept.event) is CallEnded for kept in self._events.values())

    def _makes_room_for(self, event: Event) -> bool:
        if self._droppable:
            del self._events[self._droppable.popleft()]
            self._drop()
            return True
        if type(event) in _DROPPED:
            self._drop()
            return False
        if len(self._events) < LIMIT:
            return True
        log.warning("[BUS] subscriber stopped reading; the service disconnects it", waiting=len(self._events))
        self._bus.let_go += 1
        self.close()
        return False

    def _drop(self) -> None:
        self.dropped += 1
        self._bus.dropped += 1

    def close(self) -> None:
        """Stop listening. What waits is still delivered."""
        if self._closed:
            return
        self._closed = True
        self._more.set()
        self._bus.forget(self)
        if self.on_close is not None:
            self.on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether nothing more will come; what waits may still be taken."""
        return self._closed

    def wake(self) -> None:
        """Wake the reader that waits in `some`, without events."""
        self._more.set()

    async def some(self) -> list[Event]:
        """Wait, and take everything there is; nothing, if it was woken or closed. Cancelling it loses none."""
        await self.wait()
        return self.waiting()

    def waiting(self) -> list[Event]:
        """Take everything that waits, in order."""
        return [kept.event for kept in self.take()]

    async def wait(self) -> None:
        """Wait until there are events, or until it is woken or closed."""
        if not self._events and not self._closed:
            self._more.clear()
            await self._more.wait()

    def take(self) -> list[KeptEvent]:
        """Take everything that waits, in order, as the ring keeps it."""
        events = list(self._events.values())
        self._events.clear()
        self._droppable.clear()
        return events

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event. Cancelling it loses none."""
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        _, kept = self._events.popitem(last=False)
        if type(kept.event) in _DROPPED:
            self._droppable.popleft()
        return kept.event


class Bus:
    """The bus: all subscribers of the process."""

    def __init__(self, ring: EventRing | None = None) -> None:
        self.ring = EventRing() if ring is None else ring  # an empty ring is false
        """The newest events, for subscribers that come back."""
        self._subscriptions: set[Subscription] = set()
        self._open: dict[str, set[str]] = {}  # call SID -> its streams that have begun and are not done
        self._rehearsals: set[str] = set()  # the streams of rehearsals among them
        self._closed = False
        self.dropped = 0
        """Partials and tentatives that a subscriber was too slow for, over all of them."""
        self.let_go = 0
        """Subscribers that had stopped reading."""

    def subscribe(
        self, call_sid: str | None = None, *, only: EventFilter = EVERYTHING, capacity: int = CAPACITY
    ) -> Subscription:
        """Listen to one call, or with None to all of them, from now on.

        A subscription to one call gets each `call.ended` of it, whatever the filter: they tell when it is over.
        """
        subscription = Subscription(self, call_sid, only, capacity)
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.close()
        return subscription

    def close(self) -> None:
        """The process ends: every subscription ends as soon as what waits for it is taken, and new ones at once."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def forget(self, subscription: Subscription) -> None:
        """Called by `Subscription.close`."""
        self._subscriptions.discard(subscription)

    def publish(self, event: Event, agent: str = "") -> None:
        """Keep the event of a call of this agent, and queue it for everybody it is for."""
        if type(event) is CallStarted:
            self._open.setdefault(event.call_sid, set()).add(event.stream_sid)
            if event.direction == REHEARSAL:
                self._rehearsals.add(event.stream_sid)
        kept = self.ring.append(event, agent, is_rehearsal=event.stream_sid in self._rehearsals)
        if type(event) is CallEnded:
            self._close_stream(event)
        for subscription in tuple(self._subscriptions):
            subscription.offer(kept)

    def goes_on(self, call_sid: str) -> bool:
        """Whether a stream of this call has begun and is not done."""
        return call_sid in self._open

    def _close_stream(self, event: CallEnded) -> None:
        self._rehearsals.discard(event.stream_sid)
        if (streams := self._open.get(event.call_sid)) is not None:
            streams.discard(event.stream_sid)
            if not streams:
                del self._open[event.call_sid]

    @property
    def closed(self) -> bool:
        """Whether the process ends, and nothing more will come."""
        return self._closed

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    def status(self) -> EventsStatus:
        """The part of `/v1/status` about slow subscribers."""
        return EventsStatus(partials_dropped=self.dropped, subscribers_let_go=self.let_go)
