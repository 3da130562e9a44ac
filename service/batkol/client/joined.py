"""The live calls, and then what happens to them: a snapshot and a feed that join without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Final, Self, TypeAlias

from batkol.backoff import Backoff
from batkol.client.course import Course
from batkol.client.errors import BusyError, ServiceUnreachableError
from batkol.client.events import FeedEvent
from batkol.client.feed import EventFeed
from batkol.client.live import LiveCalls
from batkol.client.pauses import pause
from batkol.events.events import Event, FeedGap

TakeSnapshot: TypeAlias = Callable[[], Awaitable[LiveCalls]]
FeedAfter: TypeAlias = Callable[[str], EventFeed]
Followed: TypeAlias = FeedEvent | LiveCalls


_AGAIN: Final = Backoff(0.5, 10.0)


class FollowedCalls:
    """The live calls first, then every event that happens after that moment, each once.

    After a `FeedGap` come the live calls anew, and events from there: what the program knows is right again. An
    asynchronous iterator and a context manager; cancelling a wait loses nothing.
    """

    def __init__(self, snapshot: TakeSnapshot, feed_after: FeedAfter, give_up_s: float) -> None:
        self._snapshot = snapshot
        self._feed_after = feed_after
        self._course = Course(give_up_s)
        self._feed: EventFeed | None = None
        self._seen: dict[str, int] = {}  # stream SID -> the last event that the snapshot has in it
        self._gaps = 0  # one after the other, with no event between them
        self._calls: LiveCalls | None = None  # not handed on yet

    async def __aenter__(self) -> Self:
        """Take the snapshot and connect. Raises `ClientError`."""
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Followed]:
        return self

    async def __anext__(self) -> Followed:
        """Return the live calls, or wait for the next event. Raises `ClientError`; cancelling it loses nothing."""
        if self._feed is None:
            await self._begin()
        if (calls := self._calls) is not None:
            self._calls = None
            return calls
        feed = self._feed
        assert feed is not None  # noqa: S101 - `_begin` made it
        event = await anext(feed)
        while isinstance(event, Event) and event.seq <= self._seen.get(event.stream_sid, 0):
            event = await anext(feed)
        if isinstance(event, FeedGap):
            self._gaps += 1
            await self.close()
        elif isinstance(event, Event):
            self._gaps = 0
        return event

    async def close(self) -> None:
        """End the connection. Iterating again begins with the live calls."""
        feed, self._feed, self._calls = self._feed, None, None
        if feed is not None:
            await feed.close()

    async def _begin(self) -> None:
        if self._gaps > 1:  # a service that cannot go on from its own snapshot is not asked in a circle
            await asyncio.sleep(_AGAIN.wait_s(self._gaps - 2))
        while self._feed is None:
            try:
                calls = await self._snapshot()
            except (ServiceUnreachableError, BusyError) as error:
                await pause(self._course, error)
                continue
            self._course.worked()
            feed = self._feed_after(calls.cursor)
            await feed.__aenter__()
            self._feed, self._calls = feed, calls
            self._seen = {call.stream_sid: call.seq for call in calls if call.seq is not None}
