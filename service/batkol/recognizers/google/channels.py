"""gRPC connections to Google's recognition, shared by all calls of the process (`google_api.channel_pool`).

The stream that replaces another is counted beside it while both live.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from google.cloud.speech_v1p1beta1.services.speech import SpeechAsyncClient
from google.cloud.speech_v1p1beta1.services.speech.transports import SpeechGrpcAsyncIOTransport

from batkol.google_api.channel_pool import ChannelPool, OpenChannel
from batkol.google_api.endpoint import CredentialsError, GoogleEndpoint, GoogleService
from batkol.recognizers.google.errors import GoogleError
from batkol.recognizers.google.remedies import CREDENTIALS
from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.recognizers.streaming.quota import no_stream_free

GOOGLE_HOST: Final = "speech.googleapis.com"
_SERVICE: Final = GoogleService(GOOGLE_HOST, "GCP_STT", "speech", "speech double")


class Channels:
    """The connections of one process. `endpoint` is `host:port`, or empty for Google itself.

    `limit` is how many streams this process may hold at once, 0 for any number: Google counts sessions a project, and
    refuses those beyond for everybody in it. `dial` opens a connection in another way than gRPC's own.
    """

    def __init__(self, *, endpoint: str, insecure: bool, limit: int = 0, dial: OpenChannel | None = None) -> None:
        self._endpoint = GoogleEndpoint(_SERVICE, address=endpoint, insecure=insecure)
        self._limit = limit
        self._without: SpeechError | None = None
        self._pool = ChannelPool(dial or self._endpoint.dial, self._client)

    async def start(self) -> None:
        """Find the credentials, as `GoogleEndpoint.start` does, unless they are there.

        Raises `SpeechError` (`credentials`) without them, and so do `lease` and `borrow` until another start finds
        them.
        """
        try:
            await self._endpoint.start()
        except CredentialsError as error:
            self._without = GoogleError(error.why, reason=CREDENTIALS, next_step=Next.MISCONFIGURED)
            raise self._without from error
        self._without = None

    @property
    def address(self) -> str:
        """`host:port` of Google, or of what takes its place."""
        return self._endpoint.address

    @property
    def has_credentials(self) -> bool:
        """Whether Google can be asked at all."""
        return self._without is None

    @contextmanager
    def lease(self) -> Iterator[SpeechAsyncClient]:
        """Lend a client for one stream.

        Raises `SpeechError` (`no_stream_free`) when the process holds as many as it may; nothing was asked of Google.
        """
        self._check_credentials()
        if self._limit and self.streams >= self._limit:
            raise no_stream_free(self._limit, vendor="Google", setting="STT_MAX_STREAMS")
        with self._pool.stream() as client:
            yield client

    @contextmanager
    def borrow(self) -> Iterator[SpeechAsyncClient]:
        """Lend a client for one request, which takes its place on a connection and none of the limit."""
        self._check_credentials()
        with self._pool.request() as client:
            yield client

    def avoid(self, client: SpeechAsyncClient) -> None:
        """See `ChannelPool.avoid`."""
        self._pool.avoid(client)

    @property
    def streams(self) -> int:
        """Streams under way."""
        return self._pool.streams

    @property
    def requests(self) -> int:
        """Single requests under way."""
        return self._pool.requests

    @property
    def limit(self) -> int:
        """Most streams at once; 0 for any number."""
        return self._limit

    @property
    def connections(self) -> int:
        """ChannelPool opened so far; they stay open."""
        return len(self._pool)

    async def close(self) -> None:
        """See `ChannelPool.close`."""
        await self._pool.close()

    def _check_credentials(self) -> None:
        without = self._without
        if without is not None:
            raise GoogleError(str(without), reason=without.reason, next_step=without.next)

    def _client(self, channel: grpc.aio.Channel) -> SpeechAsyncClient:
        return SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(host=self._endpoint.address, channel=channel))
