"""The fleet: the pods of one agent, as the pod that is asked sees them. Nothing is asked while there is no request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

from batkol.answers import Answer
from batkol.errors import BatkolError
from batkol.fleet.addresses import Addresses
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.feed import TIMINGS, FleetFeed, FleetTimings
from batkol.fleet.peers import FleetRequest, HttpPods, OwnPod
from batkol.fleet.questions import Questions
from batkol.fleet.reader import FleetReader

MOST_FEEDS: Final = 32
"""Feeds of different tokens and filters at once; each is a connection to every pod."""

log = structlog.get_logger()


class TooManyFeedsError(BatkolError):
    """No further feed of the fleet is followed now. The text is for the client."""


class Fleet:
    """One per process."""

    def __init__(
        self,
        addresses: Addresses,
        own: Callable[[], OwnPod],
        timings: FleetTimings = TIMINGS,
        pods: HttpPods | None = None,
    ) -> None:
        """`addresses`: of all pods; `own` is called when this pod listens."""
        self._own = own
        self._timings = timings
        self._pods = pods or HttpPods(answer_s=timings.answer_s)
        self._addresses = addresses
        self._feeds: dict[FleetRequest, tuple[FleetFeed, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.questions = Questions(self._pods, self._addresses, own)

    async def finish(self) -> None:
        """The process ends: close all readers when they have its last events. They come back to another pod."""
        await asyncio.gather(*(feed.finish() for feed, _ in self._feeds.values()))

    async def aclose(self) -> None:
        """End all feeds and close all connections."""
        for asking in tuple(self._feeds):
            self._end(asking)
        if self._ending:
            await asyncio.wait(self._ending)
        await self._pods.aclose()

    @property
    def answer_s(self) -> float:
        """Seconds that a pod has for an answer."""
        return self._timings.answer_s

    @property
    def feeds(self) -> int:
        """Feeds that are followed now."""
        return len(self._feeds)

    @asynccontextmanager
    async def following(self, asking: FleetRequest, reader: FleetReader) -> AsyncIterator[FleetFeed]:
        """Follow all pods; yields the feed when the reader misses nothing any more, or it is refused.

        Raises `TooManyFeedsError`.
        """
        feed = self._feed(asking)
        try:
            await feed.join(reader)
            yield feed
        finally:
            feed.remove(reader)
            if not len(feed) and self._feeds.get(asking, (None, None))[0] is feed:
                self._end(asking)

    async def forward(
        self, at: Endpoint, asking: FleetRequest, path: str, *, headers: Mapping[str, str], content: bytes
    ) -> Answer:
        """Have a pod carry out a command. Raises `PodRequestError`; the command may have been carried out then."""
        return await self._pods.ask(
            at, asking, "POST", path, headers=headers, content=content, within_s=self._timings.command_s
        )

    async def hung_up(self, asking: FleetRequest, call_sid: str) -> bool:
        """Whether a pod says in time that it has ended this call a moment ago."""
        return await self.questions.hung_up(asking, call_sid, within_s=self._timings.hung_up_s)

    async def read(self, at: Endpoint, asking: FleetRequest, path: str) -> Answer:
        """Read something from one pod. Raises `PodRequestError`."""
        return await self._pods.ask(at, asking, "GET", path)

    def _feed(self, asking: FleetRequest) -> FleetFeed:
        if (found := self._feeds.get(asking)) is not None:
            return found[0]
        if len(self._feeds) >= MOST_FEEDS:
            raise TooManyFeedsError(
                f"This pod follows {MOST_FEEDS} feeds of the fleet, each with another token or filter, and follows no "
                "more at once. Use fewer different filters, or ask another pod."
            )
        feed = FleetFeed(self._pods, self._addresses, self._own(), asking, self._timings)
        task = asyncio.create_task(feed.run(), name="fleet.feed")
        self._feeds[asking] = feed, task
        task.add_done_callback(lambda done: self._on_done(asking, done))
        return feed

    def _end(self, asking: FleetRequest) -> None:
        _, task = self._feeds.pop(asking)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _on_done(self, asking: FleetRequest, done: asyncio.Task[None]) -> None:
        if done.cancelled():
            return
        if (found := self._feeds.get(asking)) is not None and found[1] is done:
            del self._feeds[asking]
        if (error := done.exception()) is not None:
            log.error("[FLEET] feed of the fleet died; its readers come back with their cursors", exc_info=error)
