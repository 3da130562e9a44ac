"""One sink's connection to its NATS servers: made when it is needed, and again after it broke."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
from nats import errors

from batkol.backoff import Backoff
from batkol.sinks.nats.client import NatsClient
from batkol.sinks.nats.credentials import NONE, Credentials

_BACKOFF: Final = Backoff(0.25, 5.0)
_CLOSE_S: Final = 1.0
"""For sending what waits when the connection is closed; a server that takes nothing is cut off then."""

_FAILURES: Final = (errors.Error, OSError, ValueError, LookupError, TypeError, AttributeError)
"""Errors of nats-py where it cannot connect; the last ones where what it connects to is no NATS server."""


class NatsUnavailableError(Exception):
    """No server takes the connection. The text is a sentence for an operator, and quotes no secret."""


@dataclass(frozen=True, slots=True)
class NatsLimits:
    """Limits of one sink's connection; those in `_s` are seconds."""

    connect_s: float = 5.0
    """For connecting to one server, TLS and credentials included."""
    ack_s: float = 5.0
    """For JetStream's acknowledgement of one event."""
    ping_s: float = 10.0
    """A silent server is asked this often; the connection is given up when it misses two answers."""
    backoff: Backoff = _BACKOFF
    """Waits after attempts that failed, beside the drainer's: partials do not knock at a dead server's door."""
    unsent: int = 256 * 1024
    """Bytes that wait to be sent before partials are dropped: the server does not read."""
    at_once: int = 64
    """Events that wait for their acknowledgement at the same time."""


LIMITS: Final = NatsLimits()


class NatsConnection:
    """`servers` are URLs without user and password; `tls` makes the context for `tls://`, in a thread."""

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        credentials: Credentials = NONE,
        *,
        limits: NatsLimits = LIMITS,
        tls: Callable[[], ssl.SSLContext] = httpx.create_ssl_context,
    ) -> None:
        self.who = f"The NATS server {', '.join(servers)}"
        self._name = name
        self._servers = list(servers)
        self._credentials = credentials
        self._limits = limits
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._client: NatsClient | None = None
        self._connecting = asyncio.Lock()
        self._failures = 0  # in a row
        self._next_at = 0.0  # the loop's time before which no attempt is made
        self._fault = ""
        self.connections = 0
        """Connections that were made so far."""

    async def client(self) -> NatsClient:
        """Return a connected client. Raises `NatsUnavailableError`, at once within the wait after a failed attempt."""
        if self._client is not None and self._client.is_connected:
            return self._client
        async with self._connecting:
            if self._client is not None and self._client.is_connected:
                return self._client
            await self._discard()
            loop = asyncio.get_running_loop()
            if loop.time() < self._next_at:
                raise NatsUnavailableError(self._fault)
            try:
                self._client = await self._connect()
            except NatsUnavailableError as error:
                self._fault = str(error)
                self._next_at = loop.time() + self._limits.backoff.wait_s(self._failures)
                self._failures += 1
                raise
            self._failures = 0
            self.connections += 1
            return self._client

    async def aclose(self) -> None:
        """Close the connection; what waits is sent, if the server takes it at once."""
        async with self._connecting:
            await self._discard()

    async def _discard(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    async def _connect(self) -> NatsClient:
        """Try each server once; the one that answers is tried first the next time."""
        fault = ""
        for server in tuple(self._servers):
            try:
                client = await self._connect_to(server)
            except _FAILURES as error:
                fault = self._described(error)
                continue
            self._servers.remove(server)
            self._servers.insert(0, server)
            return client
        raise NatsUnavailableError(f"{self.who} {fault}")

    async def _connect_to(self, server: str) -> NatsClient:
        needs_tls = server.startswith("tls://")
        if needs_tls and self._context is None:
            self._context = await asyncio.to_thread(self._tls)
        client = NatsClient(nkey=self._credentials.nkey, needs_tls=needs_tls)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await client.connect(
                    [server],
                    error_cb=client.heard,
                    name=f"batkol-{self._name}",
                    allow_reconnect=False,
                    connect_timeout=self._limits.connect_s,  # type: ignore[arg-type]  # any number will do
                    ping_interval=self._limits.ping_s,  # type: ignore[arg-type]
                    pending_size=0,  # else `publish` waits for a server that does not read, and cannot be cancelled
                    tls=self._context,
                    **self._credentials.options(),
                )
        except BaseException:
            client.abort()
            raise
        return client

    def _described(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"did not answer within {self._limits.connect_s:g} s; check its URL, and whether it runs"
        if isinstance(error, ssl.SSLError):
            return f"failed the TLS handshake ({type(error).__name__}); check its certificate, and SSL_CERT_FILE"
        if isinstance(error, OSError):
            return f"cannot be reached ({type(error).__name__}); check its URL, and whether it runs"
        text = str(error).lower()
        if "authoriz" in text or "authentication" in text:
            return "refuses the credentials; check the sink's credentials, and the users of the server"
        if "has no tls" in text:
            return "has no TLS, and the URL says tls://: nothing was sent; set up TLS at the server, or write nats://"
        return f"refuses the connection ({type(error).__name__}); its own log says why"


async def _close(client: NatsClient) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await client.close()
    except (TimeoutError, OSError, errors.Error):
        pass  # it is cut off below
    finally:
        client.abort()
