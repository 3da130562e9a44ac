"""One session: mu-law in, portions out, over one WebSocket.

A socket whose other end is gone looks open for minutes. So whenever nothing has come for a while a ping goes out,
and a ping without an answer ends the connection. While no audio goes out, a keep-alive does.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from batkol.answers import UNREADABLE
from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.recognizers.soniox import errors, wire
from batkol.recognizers.soniox.portions import PortionReader
from batkol.recognizers.streaming.connection import ConnectionEnded
from batkol.recognizers.streaming.errors import SpeechError
from batkol.speech.results import Portion

PING_AFTER: Final = 0.4  # seconds without a message from Soniox after which it is asked for a sign of life
PONG_WITHIN: Final = 1.2  # seconds in which it must give one
KEEP_ALIVE: Final = 5.0  # seconds without audio after which a keep-alive goes out; Soniox waits 20

_FLUSHES: Final = 8
_FLUSH_SPAN: Final = 10.0
"""Finalizes in any 10 s: "too often may cause disconnections" (soniox.com/docs, manual finalization)."""

_CLOSE_WITHIN: Final = 0.2  # seconds for the close frame to be answered; no result is waited for
_QUIET: Final = logging.getLogger("soniox.websocket")
_QUIET.setLevel(logging.CRITICAL)  # at DEBUG the library writes the handshake's headers, the key among them


@dataclass(frozen=True, slots=True, kw_only=True)
class SonioxEndpoint:
    """The address of Soniox, and what opens a session there. `key` goes into the handshake and nowhere else."""

    url: str
    key: str
    start: str
    """The start message."""
    tls: ssl.SSLContext | None
    open_timeout: float = 5.0
    ping_after: float = PING_AFTER
    pong_within: float = PONG_WITHIN
    keep_alive: float | None = KEEP_ALIVE

    def __repr__(self) -> str:
        return f"SonioxEndpoint({self.url!r})"


class SonioxDial(connect):
    """The handshake. A redirect is a refusal: it would take the key elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class SonioxConnection:
    """An open session; see `batkol.recognizers.streaming.connection.StreamConnection`."""

    def __init__(self, socket: ClientConnection, endpoint: SonioxEndpoint) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket
        self._endpoint = endpoint
        self._portions = PortionReader()
        self._written = 0  # samples
        self._finished = False
        self._dead: SpeechError | None = None
        self._heard_at = self._written_at = self._loop.time()
        self._flushed: deque[float] = deque(maxlen=_FLUSHES)

    async def write(self, audio: bytes) -> None:
        self._written_at = self._loop.time()
        self._written += len(audio)
        await self._send(audio)

    async def flush(self) -> None:
        now = self._loop.time()
        if len(self._flushed) == _FLUSHES and now - self._flushed[0] < _FLUSH_SPAN:
            return  # the text becomes final a little later by itself
        self._flushed.append(now)
        await self._send(wire.FINALIZE)

    async def half_close(self) -> None:
        await self._send(wire.END_OF_AUDIO)

    async def read(self) -> Sequence[Portion] | None:
        if self._finished:
            return None
        try:
            message = await self._socket.recv()
        except ConnectionClosed as error:
            raise self._dead or errors.closed(error) from error
        self._heard_at = self._loop.time()
        try:
            response = wire.parse(message)
        except UNREADABLE:
            raise errors.unreadable() from None  # it may quote a caller
        if response.error_code is not None:
            raise errors.ended(response, key=self._endpoint.key)
        if wire.is_too_large(response):
            raise errors.too_large()
        portions = self._portions.read(response, sent_ms=self._written // SAMPLES_PER_MS)
        self._finished = response.finished
        return portions if portions or not self._finished else None

    def suspect(self) -> None:
        """Nothing is shared with the next connection: each has a socket of its own."""

    async def watch(self) -> None:
        """Keep the session alive, and end it when the other end is gone. Runs until it is cancelled."""
        endpoint = self._endpoint
        try:
            while True:
                await asyncio.sleep(endpoint.ping_after)
                async with asyncio.timeout(endpoint.pong_within):
                    await self._keep()
        except TimeoutError:
            self._dead = errors.half_open(endpoint.pong_within)
            self._socket.transport.abort()
        except ConnectionClosed:
            return  # `read` has the reason

    async def _keep(self) -> None:
        now = self._loop.time()
        keep_alive = self._endpoint.keep_alive
        if keep_alive is not None and now - self._written_at >= keep_alive:
            self._written_at = now
            await self._socket.send(wire.KEEP_ALIVE)
        if now - self._heard_at >= self._endpoint.ping_after:
            await (await self._socket.ping())
            self._heard_at = self._loop.time()

    async def _send(self, message: bytes | str) -> None:
        try:
            await self._socket.send(message)
        except ConnectionClosed as error:
            raise ConnectionEnded from error


@asynccontextmanager
async def open_session(endpoint: SonioxEndpoint) -> AsyncIterator[SonioxConnection]:
    """Open a session; leaving it closes the socket. Raises `SpeechError`."""
    try:
        async with asyncio.timeout(endpoint.open_timeout):
            socket = await SonioxDial(
                endpoint.url,
                additional_headers={"Authorization": f"Bearer {endpoint.key}"},
                ssl=endpoint.tls,
                compression=None,
                ping_interval=None,
                open_timeout=None,
                close_timeout=_CLOSE_WITHIN,
                max_size=wire.LARGEST_MESSAGE,
                logger=_QUIET,
            )
    except (OSError, TimeoutError, WebSocketException, ImportError, ValueError) as error:
        raise errors.refused(error) from error
    connection = SonioxConnection(socket, endpoint)
    watching: asyncio.Task[None] | None = None
    try:
        with suppress(ConnectionClosed):  # refused already: `read` has the reason
            await socket.send(endpoint.start)
        watching = asyncio.create_task(connection.watch(), name="stt.watch")
        yield connection
    finally:
        if watching is not None:
            watching.cancel()
        await socket.close()
