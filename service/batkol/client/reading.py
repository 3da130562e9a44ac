"""One connection of an event feed: messages, until it ends or breaks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import NamedTuple, Self, cast

import httpx

from batkol.client.connection import ApiConnection, Query
from batkol.client.errors import ServiceUnreachableError
from batkol.client.sse import Parser, ServerSentEvent


class Asked(NamedTuple):
    """The feed that is read."""

    path: str
    query: Query
    of_call: bool = False


class FeedConnection:
    """A feed that has begun."""

    def __init__(self, connection: ApiConnection, response: httpx.Response) -> None:
        self.parser = Parser()
        self._connection = connection
        self._response = response
        self._pieces = cast("AsyncGenerator[bytes, None]", response.aiter_raw())  # which is what it is
        self._ready: deque[ServerSentEvent] = deque()
        self._ended = False

    @classmethod
    async def begin(cls, connection: ApiConnection, asked: Asked, after: str) -> Self:
        """Connect, and return when the first bytes have arrived: the subscription is in force.

        Raises `ClientError`. Cancelling it loses nothing.
        """
        patience = asyncio.timeout(connection.limits.answer_s)
        reading: Self | None = None
        try:
            async with patience:
                reading = cls(connection, await connection.open(asked.path, asked.query, after, of_call=asked.of_call))
                await reading._more()
        except TimeoutError as error:
            await _close(reading)
            raise _held_back(connection) if reading else connection.unreachable(error) from error
        except BaseException:
            await _close(reading)
            raise
        return reading

    @property
    def has_nothing_waiting(self) -> bool:
        """Whether every message that has arrived was taken."""
        return not self._ready

    async def next(self) -> ServerSentEvent | None:
        """Wait for the next message; None when the service has ended the feed.

        Raises `ServiceUnreachableError` when it breaks off, and `UnexpectedAnswerError`. Cancelling it ends the
        connection.
        """
        while not self._ready and not self._ended:
            await self._more()
        return self._ready.popleft() if self._ready else None

    async def close(self) -> None:
        with suppress(RuntimeError):  # another task waits for a piece: it gets an error, as the connection is closed
            await self._pieces.aclose()
        await self._response.aclose()

    async def _more(self) -> None:
        try:
            self._ready.extend(self.parser.feed(await anext(self._pieces)))
        except StopAsyncIteration:
            self._ended = True
        except (httpx.TransportError, httpx.StreamError) as error:
            raise ServiceUnreachableError(
                f"The event feed of {self._connection.shown()} broke off ({type(error).__name__}). Did the service "
                "end, or does something between close connections that are idle for less than 15 s?"
            ) from error


def _held_back(connection: ApiConnection) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"The event feed of {connection.shown()} began, and none of its bytes arrived. A proxy on the way holds them "
        "back: switch its response buffering off for this path (the service asks for that by X-Accel-Buffering: no)."
    )


async def _close(reading: FeedConnection | None) -> None:
    if reading is not None:
        await reading.close()
