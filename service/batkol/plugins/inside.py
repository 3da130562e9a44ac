"""The `PluginHost` that a plug-in gets: events and lines of the calls, brought to another thread.

Everything that belongs to the calls is touched on their event loop alone. A plug-in waits for it on its own loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

from batkol.events.bus import Bus, Subscription
from batkol.events.described import EVENTS
from batkol.events.events import AnyEvent, CallEnded, Event
from batkol.plugins.contract import Lines, NotLiveError, PluginBehindError, PluginLine

COMMANDS: Final = 32
"""Commands to lines that one plug-in may have under way; further ones wait on its own loop."""

_NOT_LIVE: Final = "There is no live call with this SID in this pod."

Answer = TypeVar("Answer")


class Inside:
    """The part of the service that one life of a plug-in holds. Made and closed on the event loop of the calls."""

    def __init__(self, bus: Bus, lines: Lines) -> None:
        self._bus = bus
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        self._commands = asyncio.Semaphore(COMMANDS)
        self._first: Subscription | None = bus.subscribe()
        self._open = {self._first}

    # -- on the event loop of the calls --------------------------------------------------------------------------------

    def close(self) -> None:
        """End every subscription: the plug-in is over, or the service."""
        for subscription in tuple(self._open):
            self.drop(subscription)

    def release_untaken(self) -> None:
        """Drop the events that wait for a plug-in that follows none."""
        if self._first is not None:
            self.drop(self._first)
            self._first = None

    async def subscribe(self, call_sid: str | None) -> Subscription:
        """Return a subscription: the one that began with the plug-in, if it is the first one to all calls."""
        if call_sid is None and self._first is not None:
            subscription, self._first = self._first, None
            return subscription
        if call_sid is not None and not self._bus.goes_on(call_sid):
            raise NotLiveError(_NOT_LIVE)
        subscription = self._bus.subscribe(call_sid)
        self._open.add(subscription)
        return subscription

    async def some(self, subscription: Subscription, types: frozenset[str]) -> list[Event]:
        """Wait for events of these types, or of all; none at the end."""
        while True:
            events = await subscription.some()
            if not events and subscription.closed:
                if subscription in self._open and not self._bus.closed:
                    self._open.discard(subscription)
                    raise PluginBehindError("The plug-in took no event for too long; its subscription is over.")
                return []
            if any(isinstance(event, CallEnded) and subscription.is_over(event.call_sid) for event in events):
                self.drop(subscription)
            if wanted := [each for each in events if not types or each.__struct_config__.tag in types]:
                return wanted

    def drop(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._open.discard(subscription)
        subscription.close()

    async def command(self, call_sid: str, order: Callable[[PluginLine], Awaitable[Answer]]) -> Answer:
        """Give an order to the line of a live call."""
        line = self._lines(call_sid)
        if line is None:
            raise NotLiveError(_NOT_LIVE)
        return await order(line)

    # -- on the event loop of the plug-in ------------------------------------------------------------------------------

    def events(self, *, types: Collection[str] = ()) -> AsyncIterator[AnyEvent]:
        """See `PluginHost.events`."""
        return InsideEvents(self, self._loop, None, _known(types))

    def call(self, call_sid: str) -> InsideCall:
        """See `PluginHost.call`."""
        return InsideCall(self, self._loop, call_sid)

    async def order(self, call_sid: str, order: Callable[[PluginLine], Awaitable[Answer]]) -> Answer:
        """Give an order to a line from another thread, and wait for its answer."""
        async with self._commands:
            return await asyncio.shield(asyncio.wrap_future(_ask(self.command(call_sid, order), self._loop)))


class InsideEvents:
    """An iteration over events on the thread of a plug-in. One task at a time may wait for the next."""

    def __init__(
        self, inside: Inside, service: asyncio.AbstractEventLoop, call_sid: str | None, types: frozenset[str]
    ) -> None:
        self._inside = inside
        self._service = service
        self._call_sid = call_sid
        self._types = types
        self._subscription: Subscription | None = None
        self._taken: deque[Event] = deque()
        self._asked: Future[Any] | None = None  # kept while a wait is cancelled, so that its events are not lost

    def __aiter__(self) -> Self:
        return self

    def __del__(self) -> None:
        """End the subscription of an iteration that was left early: each one costs every event of every call."""
        if self._asked is not None:
            self._asked.cancel()
        if self._subscription is not None:
            with suppress(RuntimeError):  # the loop is closed: the service is over
                self._service.call_soon_threadsafe(self._inside.drop, self._subscription)

    async def __anext__(self) -> Any:
        """Wait for the next event. Cancelling it loses none."""
        if self._subscription is None:
            self._subscription = await self._ask(self._inside.subscribe, self._call_sid)
        if not self._taken:
            self._taken.extend(await self._ask(self._inside.some, self._subscription, self._types))
        if not self._taken:
            raise StopAsyncIteration
        return self._taken.popleft()

    async def _ask(self, work: Callable[..., Coroutine[Any, Any, Any]], *about: object) -> Any:
        if self._asked is None:
            self._asked = _ask(work(*about), self._service)
        try:
            answer = await asyncio.shield(asyncio.wrap_future(self._asked))
        except asyncio.CancelledError:
            raise  # the answer is still to come, and is for the next wait
        except BaseException:
            self._asked = None
            raise
        self._asked = None
        return answer


class InsideCall:
    """One call, on the thread of a plug-in. See `PluginCall`."""

    def __init__(self, inside: Inside, service: asyncio.AbstractEventLoop, call_sid: str) -> None:
        self._inside = inside
        self._service = service
        self.call_sid = call_sid

    def events(self, *, types: Collection[str] = ()) -> AsyncIterator[AnyEvent]:
        return InsideEvents(self._inside, self._service, self.call_sid, _known(types))

    async def say(self, text: str, *, interrupt: bool = False) -> str:
        return await self._inside.order(self.call_sid, lambda line: line.say(text, interrupt=interrupt))

    async def play(self, audio: bytes) -> str:
        return await self._inside.order(self.call_sid, lambda line: line.play(audio))

    async def clear(self) -> int:
        return await self._inside.order(self.call_sid, lambda line: line.clear())

    async def mark(self, name: str) -> None:
        await self._inside.order(self.call_sid, lambda line: line.mark(name))

    async def hangup(self) -> None:
        await self._inside.order(self.call_sid, lambda line: line.hangup())

    async def transfer(self, label: str) -> None:
        await self._inside.order(self.call_sid, lambda line: line.transfer(label))


def _known(types: Collection[str]) -> frozenset[str]:
    """Return the names of events. Raises `ValueError` for a name that no event has: it would filter all."""
    if unknown := set(types) - EVENTS.keys():
        raise ValueError(f"no event has the type {min(unknown)!r}; the types are {', '.join(EVENTS)}")
    return frozenset(types)


def _ask(work: Coroutine[Any, Any, Answer], loop: asyncio.AbstractEventLoop) -> Future[Answer]:
    """Have the event loop of the calls do some work. Raises `RuntimeError` where that loop is closed."""
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:
        work.close()
        raise
