"""NATS: each event a message on JetStream, acknowledged, and stored once by its id.

https://docs.nats.io/nats-concepts/jetstream/streams: "JetStream … `Nats-Msg-Id` header … ignores duplicates" within the
stream's `duplicate_window`, 2 minutes by default. An event that is tried again after that may be stored twice;
consumers keep one event of an id. The message is a CloudEvent (`sinks.cloud_event`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

import httpx
from nats import errors
from nats.js.api import StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from batkol.events.bus import Bus
from batkol.rights import Right
from batkol.sinks.cloud_event import CONTENT_TYPE, encode, message_id
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.nats.client import NatsClient
from batkol.sinks.nats.connection import LIMITS, NatsConnection, NatsLimits, NatsUnavailableError
from batkol.sinks.nats.credentials import credentials
from batkol.sinks.nats.outcomes import failed
from batkol.sinks.nats.partials import NatsPartials
from batkol.sinks.nats.subjects import Subjects
from batkol.sinks.order import deliver_in_order

_MESSAGE_ID: Final = "Nats-Msg-Id"
_HEADERS_LENGTH: Final = 128
"""Bytes of a message's headers without the id, at most. The server counts them with the message, nats-py does not."""
_FAILURES: Final = (errors.Error, OSError, ValueError, LookupError, TypeError)
"""Errors of nats-py for an event that was not acknowledged; the last ones for an acknowledgement that is none."""
_KEPT_S: Final = 7 * 24 * 3600.0
"""The age at which a stream that the sink creates drops events: they may have words and numbers of callers."""
_DUPLICATES_S: Final = 3600.0
"""For which such a stream knows the ids of events: longer than the drainer waits between two attempts."""


class NatsSink:
    """`servers` are URLs without user and password, `prefix` begins the subjects, `secret` has the credentials.

    With `creates_stream`, a stream that is not there is created, and one that is there stays as it is. Raises
    `ValueError`, a clause that quotes no secret, for credentials or a prefix that are none.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        prefix: str = "batkol",
        secret: str = "",
        *,
        creates_stream: bool = False,
        limits: NatsLimits = LIMITS,
        tls: Callable[[], ssl.SSLContext] = httpx.create_ssl_context,
    ) -> None:
        self._name = name
        self._subjects = Subjects(prefix)
        self._connection = NatsConnection(name, servers, credentials(secret), limits=limits, tls=tls)
        self._limits = limits
        self._creates_stream = creates_stream
        self._looked_in: NatsClient | None = None  # the connection over which the stream was seen

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._name

    async def deliver(self, events: Sequence[Envelope]) -> Sequence[DeliveryOutcome]:
        """See `Sink.deliver`. Cancelling it leaves events that may be stored already; their ids are known then."""
        try:
            client = await self._connection.client()
        except NatsUnavailableError as error:
            return [Later(str(error))] * len(events)
        stream = client.jetstream(timeout=self._limits.ack_s + 1)  # `_publish` has a shorter one
        if self._creates_stream and self._looked_in is not client:
            if (fault := await self._create_stream(client, stream)) is not None:
                return [fault] * len(events)
            self._looked_in = client
        return await deliver_in_order(events, partial(self._publish, client, stream), at_once=self._limits.at_once)

    def partials(self, bus: Bus, may: AbstractSet[Right], *, capacity: int) -> NatsPartials:
        """Return what publishes partials from the bus, over the same connection, as a reader with these rights sees
        them."""
        return NatsPartials(bus, self._connection, self._subjects, may=may, limits=self._limits, capacity=capacity)

    async def aclose(self) -> None:
        """Close the connection, of the partials, too."""
        await self._connection.aclose()

    async def _publish(self, client: NatsClient, stream: JetStreamContext, event: Envelope) -> DeliveryOutcome:
        content, number = encode(event), message_id(event)
        size = len(content) + len(number) + _HEADERS_LENGTH
        if size > client.max_payload:
            return Refused(
                f"{self._connection.who} takes no message of {size} bytes, which the event has; raise its max_payload"
            )
        headers = {_MESSAGE_ID: number, "Content-Type": CONTENT_TYPE}
        try:
            async with asyncio.timeout(self._limits.ack_s):  # nats-py has none for a server that does not read
                await stream.publish(self._subjects.of(event.agent, event.type), content, headers=headers)
        except _FAILURES as error:
            return self._failed(client, error)
        return Delivered()

    async def _create_stream(self, client: NatsClient, stream: JetStreamContext) -> DeliveryOutcome | None:
        """Create the stream, if there is none of its name. Pods that do it at once create the same."""
        config = StreamConfig(
            name=self._subjects.stream,
            subjects=[self._subjects.stored],
            max_age=_KEPT_S,
            duplicate_window=_DUPLICATES_S,
        )
        try:
            try:
                await stream.stream_info(self._subjects.stream)
            except NotFoundError:
                await stream.add_stream(config)
        except _FAILURES as error:
            return self._failed(client, error)
        return None

    def _failed(self, client: NatsClient, error: Exception) -> DeliveryOutcome:
        return failed(
            self._connection.who,
            self._subjects.stored,
            error,
            may_not=client.may_not,
            within_s=self._limits.ack_s,
        )
