"""The sessions of this process at Google's text to speech: connections, credentials, and the limit of sessions.

Google counts 100 sessions at once for a project, and refuses those beyond for everybody in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc

from batkol.errors import ConfigurationError
from batkol.google_api.channel_pool import ChannelPool, OpenChannel
from batkol.google_api.endpoint import GoogleEndpoint, GoogleService
from batkol.quantity import quantity
from batkol.voices.voice import VoiceError

GOOGLE_HOST: Final = "texttospeech.googleapis.com"
GOOGLE_SESSIONS: Final = 100
NO_SESSION_FREE: Final = "no_session_free"
"""The reason when this process has as many sessions as it may."""

_SERVICE: Final = GoogleService(GOOGLE_HOST, "GCP_TTS", "text", "voice double")


class Sessions:
    """`endpoint` is `host:port`, or empty for Google itself; `limit` the sessions that this process may have at once.

    Raises `ConfigurationError` for Google in plaintext. `dial` opens a connection in another way than gRPC's own.
    """

    def __init__(
        self,
        *,
        endpoint: str = "",
        insecure: bool = False,
        limit: int = GOOGLE_SESSIONS,
        dial: OpenChannel | None = None,
    ) -> None:
        self._endpoint = GoogleEndpoint(_SERVICE, address=endpoint, insecure=insecure)
        self._pool = ChannelPool(dial or self._endpoint.dial, lambda channel: channel)
        self._finding = asyncio.Lock()
        self.limit = limit
        self.under_way = 0
        """Sessions under way."""
        self.refused = 0
        """Sessions that were refused here because `limit` was reached, and not asked of Google."""

    @property
    def address(self) -> str:
        """The host that is spoken to."""
        return self._endpoint.address

    @property
    def connections(self) -> int:
        """ChannelPool opened so far; they stay open."""
        return len(self._pool)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[grpc.aio.Channel]:
        """Lend a connection for one session. Raises `VoiceError` where there is none, or no credentials."""
        await self._start()
        if self.under_way >= self.limit:
            self.refused += 1
            raise VoiceError(
                f"this process has all of its {quantity(self.limit, 'session')} at Google under way, and the next one "
                "was not asked for (GCP_TTS_MAX_SESSIONS sets the limit)",
                reason=NO_SESSION_FREE,
                retryable=True,
            )
        self.under_way += 1
        try:
            with self._pool.stream() as channel:
                yield channel
        finally:
            self.under_way -= 1

    @asynccontextmanager
    async def request(self) -> AsyncIterator[grpc.aio.Channel]:
        """Lend a connection for one request. Raises `VoiceError` where there are no credentials."""
        await self._start()
        with self._pool.request() as channel:
            yield channel

    def avoid(self, channel: grpc.aio.Channel) -> None:
        """See `ChannelPool.avoid`."""
        self._pool.avoid(channel)

    async def close(self) -> None:
        """Close the connections; what is still under way on them is cancelled."""
        await self._pool.close()

    async def _start(self) -> None:
        if self._endpoint.ready:
            return
        async with self._finding:
            try:
                await self._endpoint.start()
            except ConfigurationError as error:
                raise VoiceError(
                    f"the voice cannot be used: {error}", reason="unauthorized", retryable=False
                ) from error
