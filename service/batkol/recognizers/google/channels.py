"""gRPC connections to Google, shared by all calls of the process.

One HTTP/2 connection carries 100 streams; the 101st waits without a word. The pool opens another connection when
every open one carries `STREAMS_A_CHANNEL` streams and requests together. The stream that replaces another is counted
beside it while both live. The first connection with room is taken: a few full ones are warm and heard from all the
time, so a dead one shows at once, where many sparse ones would each have to find out by pinging.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import google.auth
import google.auth.exceptions
import grpc
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request
from google.cloud.speech_v1p1beta1.services.speech import SpeechAsyncClient
from google.cloud.speech_v1p1beta1.services.speech.transports import SpeechGrpcAsyncIOTransport

from batkol.blocking import BlockingCalls
from batkol.errors import ConfigurationError
from batkol.recognizers.google.errors import NO_STREAM_FREE, Next, SpeechError
from batkol_otel.http_session import BoundedSession

GOOGLE_HOST: Final = "speech.googleapis.com"
STREAMS_A_CHANNEL: Final = 80
"""Streams and requests together; the rest of the hundred is for those that Google has not yet seen to be over."""

AVOIDED_S: Final = 45.0
"""Seconds in which a connection that went dead has met its keepalive's time-out, and was made anew."""

CREDENTIALS_S: Final = 30.0
"""Seconds for which a start waits for credentials: a file takes no time, a metadata server is asked three times."""

TOKEN_S: Final = 30.0
"""Seconds that a token server may take; google-auth has two minutes between two bytes, and no end."""

NO_PROXY: Final = (("grpc.enable_http_proxy", 0),)
"""For an endpoint on this machine: a proxy that the environment names for Google does not reach it."""

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)

LARGEST: Final = 1 << 20
"""Bytes of a message from Google, also after inflating it; a minute of words with their times is some 20 kB."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.use_local_subchannel_pool", 1),  # else two channels to one target share a connection
    # A dead network, docs/adr/0007. Keepalive also sets TCP_USER_TIMEOUT to its time-out (gRPC proposal A18), so while
    # audio is sent a path that is gone shows after 8 s without any ping. The ping is for what still acknowledges but
    # does not mention it, and for silence: 30 s is the shortest that Google's front ends bear; below it they end the
    # connection, with every call on it, for "too_many_pings".
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 8_000),
    # And back: by default a new connection is given 20 s, and tried every two minutes after a while.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


Dial = Callable[[], grpc.aio.Channel]


def token_request(longest_s: float = TOKEN_S) -> Request:
    """Return the HTTP client of google-auth for token servers; an exchange has limits of time and size."""
    return Request(BoundedSession(longest_s))


@dataclass(slots=True)
class _Connection:
    channel: grpc.aio.Channel
    client: SpeechAsyncClient
    streams: int = 0
    requests: int = 0
    avoided_until: float = float("-inf")

    @property
    def load(self) -> int:
        return self.streams + self.requests


class Channels:
    """The connections of one process. `endpoint` is `host:port`, or empty for Google itself.

    `limit` is how many streams this process may hold at once, 0 for any number: Google counts sessions a project, and
    refuses those beyond for everybody in it. `dial` opens a connection in another way than gRPC's own.
    """

    def __init__(self, *, endpoint: str, insecure: bool, limit: int = 0, dial: Dial | None = None) -> None:
        if insecure and (not endpoint or "googleapis.com" in endpoint.lower()):
            raise ConfigurationError(
                "GCP_STT_INSECURE sends speech without encryption, and the service refuses that for Google's own "
                "host; set GCP_STT_ENDPOINT to the speech double, or unset GCP_STT_INSECURE"
            )
        self._endpoint = endpoint or GOOGLE_HOST
        self._options = [*OPTIONS, *(NO_PROXY if _is_loopback(self._endpoint) else ())]
        self._insecure = insecure
        self._limit = limit
        self._dial = dial or self._dial_endpoint
        self._credentials: Any = None
        self._connections: list[_Connection] = []

    async def start(self) -> None:
        """Find the credentials, off the event loop (it reads files, and may ask a metadata server).

        Raises `ConfigurationError` if there are none, or if they do not come. Cancelling it loses nothing.
        """
        if self._insecure:
            return
        calls = BlockingCalls("google.credentials")
        try:
            async with asyncio.timeout(CREDENTIALS_S):
                self._credentials, _ = await calls.submit(
                    partial(google.auth.default, scopes=list(_SCOPES), request=token_request())
                )
        except TimeoutError as error:
            raise ConfigurationError(
                f"Google credentials did not arrive within {CREDENTIALS_S:g} s; check that "
                "GOOGLE_APPLICATION_CREDENTIALS names a regular file on a file system that answers, and that the "
                "metadata server answers"
            ) from error
        except google.auth.exceptions.DefaultCredentialsError as error:
            raise ConfigurationError(
                "Google credentials were not found; set GOOGLE_APPLICATION_CREDENTIALS, run with a workload "
                "identity, or point GCP_STT_ENDPOINT at the speech double with GCP_STT_INSECURE=true"
            ) from error
        finally:
            await calls.close()

    @contextmanager
    def lease(self) -> Iterator[SpeechAsyncClient]:
        """Lend a client for one stream.

        Raises `SpeechError` (`no_stream_free`) when the process holds as many as it may; nothing was asked of Google.
        """
        if self._limit and self.streams >= self._limit:
            raise SpeechError(
                f"this process uses all of its {self._limit} streams to Google; the call continues by single requests "
                "until a stream is free (STT_MAX_STREAMS sets the limit)",
                reason=NO_STREAM_FREE,
                next_step=Next.COOL_OFF,
            )
        connection = self._with_room()
        connection.streams += 1
        try:
            yield connection.client
        finally:
            connection.streams -= 1

    @contextmanager
    def borrow(self) -> Iterator[SpeechAsyncClient]:
        """Lend a client for one request, which takes its place on a connection and none of the limit."""
        connection = self._with_room()
        connection.requests += 1
        try:
            yield connection.client
        finally:
            connection.requests -= 1

    def avoid(self, client: SpeechAsyncClient) -> None:
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

    @property
    def limit(self) -> int:
        """Most streams at once; 0 for any number."""
        return self._limit

    @property
    def connections(self) -> int:
        """Connections opened so far; they stay open."""
        return len(self._connections)

    async def close(self) -> None:
        """Close every connection; what is still under way on them is cancelled."""
        connections, self._connections = self._connections, []
        for connection in connections:
            await connection.channel.close()

    def _with_room(self) -> _Connection:
        now = asyncio.get_running_loop().time()
        fit = (c for c in self._connections if c.load < STREAMS_A_CHANNEL and c.avoided_until <= now)
        connection = next(fit, None)
        if connection is None:
            connection = self._connect()
            self._connections.append(connection)
        return connection

    def _connect(self) -> _Connection:
        channel = self._dial()
        transport = SpeechGrpcAsyncIOTransport(host=self._endpoint, channel=channel)
        return _Connection(channel, SpeechAsyncClient(transport=transport))

    def _dial_endpoint(self) -> grpc.aio.Channel:
        if self._insecure:
            return grpc.aio.insecure_channel(self._endpoint, options=self._options)
        host = self._endpoint if ":" in self._endpoint else f"{self._endpoint}:443"
        return grpc.aio.secure_channel(host, self._secure(), options=self._options)

    def _secure(self) -> grpc.ChannelCredentials:
        """Make the credentials as Google's `create_channel` does, which takes no HTTP client."""
        untyped: Any = AuthMetadataPlugin
        plugin = untyped(self._credentials, token_request(), default_host=GOOGLE_HOST)
        return grpc.compute_engine_channel_credentials(grpc.metadata_call_credentials(plugin))


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(f"//{endpoint}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
