"""The drainers of a process, one for each sink, over one connection; and the news for other pods: there are events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, NamedTuple

from batkol.sinks.connection import CHANNEL, SharedConnection
from batkol.sinks.drainer import Drainer
from batkol.sinks.feed import SinkFeed
from batkol.sinks.limits import LIMITS, DrainerLimits
from batkol.sinks.outbox import SinkOutbox
from batkol.sinks.statistics import SinkState, SinkStatistics
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address
from batkol.store.postgres.faults import DB_ERRORS
from batkol.supervision.tasks import Tasks

SILENT_S: Final = 1.0
"""Seconds without a notification after the database could not be asked: other pods look by themselves."""

_NOTIFY: Final = "SELECT pg_notify($1, $2)"

OnDelay = Callable[[str, float], None]
"""Gets the sink and the age, in seconds, of each delivered event."""


def _forget(_name: str, _delay_s: float) -> None:
    pass


class Pod(NamedTuple):
    """The owner of the sinks, and this process."""

    agent: str
    name: str


class DrainerOptions(NamedTuple):
    """Options with a usual value."""

    patience: DatabaseTimeouts = DatabaseTimeouts()
    limits: DrainerLimits = LIMITS
    on_delay: OnDelay = _forget
    clock: Callable[[], float] | None = None
    """In seconds, and only forward; None: the event loop's."""


OPTIONS: Final = DrainerOptions()


class Drainers:
    """Made by `running_drainers`. They take one connection of the database, however many sinks there are."""

    def __init__(self, feeds: Sequence[SinkFeed], shared: SharedConnection, of: Pod, options: DrainerOptions) -> None:
        self.drainers = [
            Drainer(
                feed,
                SinkOutbox(shared, of.agent, feed.name, of.name, feed.kinds),
                options.limits,
                partial(options.on_delay, feed.name),
                options.clock,
            )
            for feed in feeds
        ]
        self._shared = shared
        self._agent = of.agent
        self._untold = asyncio.Event()
        shared.on_news = self._on_news

    @property
    def statistics(self) -> list[SinkStatistics]:
        """Each sink, as this pod sees it."""
        return [drainer.statistics for drainer in self.drainers]

    def wake(self) -> None:
        """This pod has written events: `batkol.store.postgres.writer.Writer.on_events`."""
        self._on_news(self._agent)
        if any(drainer.state is not SinkState.DELIVERING for drainer in self.drainers):
            self._untold.set()

    async def caught_up(self) -> None:
        """Wait until this pod has handed on what it can; see `Drainer.caught_up`."""
        self.wake()
        await asyncio.gather(*(drainer.caught_up() for drainer in self.drainers))

    async def announce(self) -> None:
        """Announce new events to the other pods, until cancelled. One without the news looks later."""
        while True:
            await self._untold.wait()
            self._untold.clear()
            try:
                on = await self._shared.connection()
                await self._shared.fetch(on, _NOTIFY, CHANNEL, self._agent)
            except DB_ERRORS:
                await asyncio.sleep(SILENT_S)  # the drainers say that the database is away

    def _on_news(self, agent: str) -> None:
        """Some pod of that agent has written events."""
        if agent == self._agent:
            for drainer in self.drainers:
                drainer.wake()


@asynccontextmanager
async def running_drainers(
    feeds: Sequence[SinkFeed], where: Address, of: Pod, tasks: Tasks, options: DrainerOptions = OPTIONS
) -> AsyncIterator[Drainers]:
    """Run a drainer for each feed, as background tasks `sinks.NAME`. The database need not be there.

    Leaving it stops them, gives the locks back for other pods, and closes the sinks. What was not delivered stays in
    the outbox.
    """
    async with AsyncExitStack() as stack:
        for feed in feeds:
            stack.push_async_callback(feed.sink.aclose)
        shared = SharedConnection(where, options.patience)
        stack.push_async_callback(shared.close)
        drainers = Drainers(feeds, shared, of, options)
        await tasks.own(stack, drainers.announce, "sink_news")
        for drainer in drainers.drainers:
            await tasks.own(stack, drainer.run, f"sinks.{drainer.name}")
        yield drainers
