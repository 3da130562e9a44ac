"""gRPC connections to Google, shared by all calls of the process.

One HTTP/2 connection carries 100 streams; the 101st waits without a word. The pool opens another connection when
every open one carries `STREAMS_A_CHANNEL`, and leaves room in each for streams that overlap while one is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import google.auth
import google.auth.exceptions
import grpc
from google.cloud.speech_v1p1beta1.services.speech import SpeechAsyncClient
from google.cloud.speech_v1p1beta1.services.speech.transports import SpeechGrpcAsyncIOTransport

from batkol.errors import ConfigurationError

GOOGLE_HOST: Final = "speech.googleapis.com"
STREAMS_A_CHANNEL: Final = 80
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # else two channels to one target share a connection
    ("grpc.keepalive_time_ms", 30_000),  # a dead network shows within 40 s instead of never
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 2),
)


@dataclass(slots=True)
class _Connection:
    channel: grpc.aio.Channel
    client: SpeechAsyncClient
    streams: int = 0


class Channels:
    """The connections of one process. `endpoint` is `host:port`, or empty for Google itself."""

    def __init__(self, *, endpoint: str, insecure: bool) -> None:
        if insecure and (not endpoint or "googleapis.com" in endpoint.lower()):
            raise ConfigurationError(
                "GCP_STT_INSECURE sends speech in the clear and is refused for Google's own host; "
                "set GCP_STT_ENDPOINT to the speech double, or unset GCP_STT_INSECURE"
            )
        self._endpoint = endpoint or GOOGLE_HOST
        self._insecure = insecure
        self._credentials: Any = None
        self._connections: list[_Connection] = []

    async def start(self) -> None:
        """Find the credentials, off the event loop (it reads files, and may ask a metadata server).

        Raises `ConfigurationError` if there are none. Cancelling it loses nothing.
        """
        if self._insecure:
            return
        try:
            self._credentials, _ = await asyncio.to_thread(google.auth.default, scopes=list(_SCOPES))
        except google.auth.exceptions.DefaultCredentialsError as error:
            raise ConfigurationError(
                "Google credentials were not found; set GOOGLE_APPLICATION_CREDENTIALS, run with a workload "
                "identity, or point GCP_STT_ENDPOINT at the speech double with GCP_STT_INSECURE=true"
            ) from error

    @contextmanager
    def lease(self) -> Iterator[SpeechAsyncClient]:
        """Lend a client for one stream or one request."""
        connection = next((c for c in self._connections if c.streams < STREAMS_A_CHANNEL), None)
        if connection is None:
            connection = self._connect()
            self._connections.append(connection)
        connection.streams += 1
        try:
            yield connection.client
        finally:
            connection.streams -= 1

    @property
    def streams(self) -> int:
        """Streams and requests under way."""
        return sum(c.streams for c in self._connections)

    @property
    def connections(self) -> int:
        """Connections opened so far; they stay open."""
        return len(self._connections)

    async def close(self) -> None:
        """Close every connection; what is still under way on them is cancelled."""
        connections, self._connections = self._connections, []
        for connection in connections:
            await connection.channel.close()

    def _connect(self) -> _Connection:
        if self._insecure:
            channel = grpc.aio.insecure_channel(self._endpoint, options=list(_OPTIONS))
        else:
            host = self._endpoint if ":" in self._endpoint else f"{self._endpoint}:443"
            channel = SpeechGrpcAsyncIOTransport.create_channel(
                host, credentials=self._credentials, options=list(_OPTIONS)
            )
        transport = SpeechGrpcAsyncIOTransport(host=self._endpoint, channel=channel)
        return _Connection(channel, SpeechAsyncClient(transport=transport))
