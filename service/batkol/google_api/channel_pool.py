"""gRPC connections to one of Google's services, shared by all calls of the process.

One HTTP/2 connection carries 100 streams; the 101st waits without a word. The pool opens another connection when
every open one carries `STREAMS_A_CHANNEL` streams and requests together. The first connection with room is taken: a few
full ones are warm and heard from all the time, so a dead one shows at once, where many sparse ones would each have to
find out by pinging.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import grpc

STREAMS_A_CHANNEL: Final = 80
"""Streams and requests together; the rest of the hundred is for those that Google has not yet seen to be over."""

AVOIDED_S: Final = 45.0
"""Seconds in which a connection that went dead has met its keepalive's time-out, and was made anew."""

OpenChannel = Callable[[], grpc.aio.Channel]
Client = TypeVar("Client")


@dataclass(slots=True)
class _Connection(Generic[Client]):
    channel: grpc.aio.Channel
    client: Client
    streams: int = 0
    requests: int = 0
    avoided_until: float = float("-inf")

    @property
    def load(self) -> int:
        return self.streams + self.requests


class ChannelPool(Generic[Client]):
    """`dial` opens a connection; `client` makes of its channel what is lent."""

    def __init__(self, dial: OpenChannel, client: Callable[[grpc.aio.Channel], Client]) -> None:
        self._dial = dial
        self._client = client
        self._connections: list[_Connection[Client]] = []

    @contextmanager
    def stream(self) -> Iterator[Client]:
        """Lend a client for one stream."""
        connection = self._with_room()
        connection.streams += 1
        try:
            yield connection.client
        finally:
            connection.streams -= 1

    @contextmanager
    def request(self) -> Iterator[Client]:
        """Lend a client for one request."""
        connection = self._with_room()
        connection.requests += 1
        try:
            yield connection.client
        finally:
            connection.requests -= 1

    def avoid(self, client: Client) -> None:
        """Open no more streams on a connection that gave no answer in time, until gRPC knows what became of it."""
        for connection in self._connections:
            if connection.client is client:
                connection.avoided_until = asyncio.get_running_loop().time() + AVOIDED_S

    @property
    def streams(self) -> int:
        """Streams under way."""
        return sum(c.streams for c in self._connections)

    @property
    def requests(self) -> int:
        """Single requests under way."""
        return sum(c.requests for c in self._connections)

    def __len__(self) -> int:
        """Return the number of connections opened so far; they stay open."""
        return len(self._connections)

    async def close(self) -> None:
        """Close every connection; what is still under way on them is cancelled."""
        connections, self._connections = self._connections, []
        for connection in connections:
            await connection.channel.close()

    def _with_room(self) -> _Connection[Client]:
        now = asyncio.get_running_loop().time()
        fit = (c for c in self._connections if c.load < STREAMS_A_CHANNEL and c.avoided_until <= now)
        connection = next(fit, None)
        if connection is None:
            channel = self._dial()
            connection = _Connection(channel, self._client(channel))
            self._connections.append(connection)
        return connection
