"""All events of a service's calls, for a report of them: none may be missing.

async with watching(url, token) as events:   # what happens from here on is in them
    async for event in events: ...
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final, TypeAlias

from batkol.client import Batkol, EventFeed, FeedGap
from batkol.client.scope import Scope
from batkol.errors import BatkolError
from batkol.events.events import AnyEvent, Event

RESUME_S: Final = 10.0
"""Seconds for which a report waits for a service that cannot be reached any more."""


Events: TypeAlias = AsyncGenerator[AnyEvent, None]


class EventsMissingError(BatkolError):
    """The service no longer has all events, so a report of them would be wrong."""


@asynccontextmanager
async def watching(url: str, token: str = "", *, resume_s: float = 0.0, scope: Scope = "pod") -> AsyncIterator[Events]:
    """Subscribe to all calls of the pod that answers, or of the fleet; in the block, no event that happens is missed.

    The iterator raises `ClientError` when the events break off for more than `resume_s` seconds, `FeedEndedError` if
    the service ended them in good order, and `EventsMissingError`. Cancelling loses the events not yet read.
    """
    if resume_s:
        async with Batkol(url, token, scope="pod") as batkol:
            await batkol.status()  # a wrong address is said at once, however long a broken connection is waited for
    async with (
        Batkol(url, token, scope=scope, give_up_s=resume_s) as batkol,
        batkol.events() as feed,
        aclosing(_whole(feed)) as events,
    ):
        yield events


async def _whole(feed: EventFeed) -> Events:
    async for event in feed:
        if isinstance(event, FeedGap):
            raise EventsMissingError("The service no longer has all events of the calls: the report cannot be made.")
        if isinstance(event, Event):
            yield event
