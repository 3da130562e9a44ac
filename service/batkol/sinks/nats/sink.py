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
        self._preparing = asyncio.Lock()
        self._prepared = 0  # attempts so far
        self._fault: DeliveryOutcome | None = None  # of the last one
        self._used: NatsClient | None = None  # the connection over which the stream was seen
        self._stream: JetStreamContext

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._name

    @property
    def at_once(self) -> int:
        """See `Sink.at_once`."""
        return self._limits.at_once

    async def deliver(self, event: Envelope) -> DeliveryOutcome:
        """See `Sink.deliver`. Cancelling it leaves an event that may be stored already; its id is known then."""
        try:
            client = await self._connection.client()
        except NatsUnavailableError as error:
            return Later(str(error))
        if (fault := await self._use(client)) is not None:
            return fault
        return await self._publish(client, self._stream, event)

    async def _use(self, client: NatsClient) -> DeliveryOutcome | None:
        """Publish over this connection from now on; return why not. The first event of a connection sees to the stream,
        and the others wait for it."""
        if client is self._used:
            return None
        before = self._prepared
        async with self._preparing:
            if client is self._used:
                return None
            if before != self._prepared:
                return self._fault  # of the attempt that this event waited for
            self._prepared += 1
            stream = client.jetstream(timeout=self._limits.ack_s + 1)  # `_publish` has a shorter one
            self._fault = await self._create_stream(client, stream) if self._creates_stream else None
            if self._fault is not None:
                return self._fault
            self._used, self._stream = client, stream
        return None

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
