"""Partials on plain subjects of NATS, straight from the bus: each at most once, and none of them stored.

With them go the first sounds of replies (`reply.started`), which the store does not hand on either. The bus appends
each to a bounded queue of this subscriber's and never waits; the oldest partials give way (see `events.bus`). What is
published goes into the client's buffer, which has a limit, too. While no server is there, or one that does not read,
they are dropped and counted: an old one is of no use. Those of a rehearsal go nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final

import structlog
from nats import errors

from batkol.events.bus import CAPACITY, Bus, Subscription
from batkol.events.events import PartialText, ReplyStarted
from batkol.events.filter import EventFilter
from batkol.events.redaction import view
from batkol.events.ring import KeptEvent
from batkol.rights import Right
from batkol.sinks.cloud_event import encode
from batkol.sinks.delivery import Envelope
from batkol.sinks.nats.client import NatsClient
from batkol.sinks.nats.connection import NatsConnection, NatsLimits, NatsUnavailableError
from batkol.sinks.nats.subjects import Subjects

_AT_ONCE: Final = 32
"""Partials that are published in one step of the event loop."""
_ONLY: Final = EventFilter(types=frozenset({PartialText, ReplyStarted}))

log = structlog.get_logger()


class NatsPartials:
    """Publishes the partials of all calls of this process, as a reader with the rights `may` sees them."""

    def __init__(
        self,
        bus: Bus,
        connection: NatsConnection,
        subjects: Subjects,
        *,
        may: AbstractSet[Right],
        limits: NatsLimits,
        capacity: int = CAPACITY,
    ) -> None:
        self._bus = bus
        self._connection = connection
        self._subjects = subjects
        self._view = view(may)
        self._limits = limits
        self._capacity = capacity
        self._subscription: Subscription | None = None
        self._lost = 0  # while no server took them
        self._slow = 0  # of subscriptions before this one
        self.fault = ""
        """Reason why no server takes partials; empty while one does."""
        self.published = 0
        """Partials that were given to a connection."""

    @property
    def dropped(self) -> int:
        """Partials that were not published: no server was there, or the connection was too slow."""
        slow = 0 if self._subscription is None else self._subscription.dropped
        return self._lost + self._slow + slow

    async def run(self) -> None:
        """Publish until the bus is closed. Cancelling it drops what waits; it can be run again."""
        while not self._bus.closed:
            with self._bus.subscribe(only=_ONLY, capacity=self._capacity) as subscription:
                self._subscription = subscription
                try:
                    await self._publish_from(subscription)
                finally:
                    self._slow += subscription.dropped
                    self._subscription = None

    async def _publish_from(self, subscription: Subscription) -> None:
        """Publish until the subscription is closed: the bus ends, or too much waited."""
        while True:
            await subscription.wait()
            if subscription.closed:
                self._lost += len(subscription.take())
                return
            await self._publish_waiting(subscription)

    async def _publish_waiting(self, subscription: Subscription) -> None:
        try:
            client = await self._connection.client()
        except NatsUnavailableError as error:
            self._lose(len(_published(subscription.take())), str(error))
            return
        waiting = _published(subscription.take())
        taken = await self._publish(client, waiting)
        self.published += taken
        if taken < len(waiting):
            self._lose(len(waiting) - taken, f"{self._connection.who} does not read what it is sent")
        elif self.fault:
            self.fault = ""
            log.info("[SINK] NATS takes partials again", dropped=self.dropped)

    async def _publish(self, client: NatsClient, waiting: Sequence[KeptEvent]) -> int:
        """Return how many the connection took. Waits for no server; others have their turn in between."""
        for taken, kept in enumerate(waiting):
            if taken % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            if client.pending_data_size > self._limits.unsent:
                return taken
            try:
                await client.publish(self._subjects.live(kept.agent, _kind(kept)), self._content(kept))
            except (errors.Error, OSError):
                return taken  # the connection broke
        return len(waiting)

    def _content(self, kept: KeptEvent) -> bytes:
        event = kept.event
        return encode(
            Envelope(
                id=event.id,
                type=_kind(kept),
                time=datetime.fromtimestamp(event.at, UTC),
                call_sid=event.call_sid,
                stream=event.stream_sid,
                seq=event.seq,
                agent=kept.agent,
                data=kept.seen_with(self._view),
            )
        )

    def _lose(self, count: int, why: str) -> None:
        self._lost += count
        if not self.fault:
            log.warning("[SINK] NATS takes no partials; the service drops partials until it does", reason=why)
        self.fault = why


def _published(events: Sequence[KeptEvent]) -> list[KeptEvent]:
    return [kept for kept in events if not kept.is_rehearsal]


def _kind(kept: KeptEvent) -> str:
    return str(kept.event.__struct_config__.tag)
