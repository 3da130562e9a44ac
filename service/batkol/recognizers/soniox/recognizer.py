"""Soniox as a streaming recognizer of the process."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from batkol.recognizers.names import SONIOX
from batkol.recognizers.soniox.connection import (
    KEEP_ALIVE,
    PING_AFTER,
    PONG_WITHIN,
    SonioxConnection,
    SonioxEndpoint,
    open_session,
)
from batkol.recognizers.soniox.errors import REASONS, refused
from batkol.recognizers.soniox.wire import DEFAULT_MODEL, SESSIONS, SONIOX_URL, soniox_language, start_message
from batkol.recognizers.streaming.connection import ConnectionEnded
from batkol.recognizers.streaming.quota import StreamQuota
from batkol.recognizers.streaming.traits import Traits

LIMIT_S: Final = 300 * 60.0
"""Seconds for which Soniox lets a session live."""

_IDLE_S: Final = 20.0  # "If no keepalive or audio is received for >20s, the connection may be closed"
_CHECK_TIMEOUT: Final = 5.0  # seconds; a check without an answer by then decides nothing
_SILENCE: Final = b"\xff" * 800  # 100 ms


def traits(*, replay_rate: float, concurrency: int = SESSIONS) -> Traits:
    """Return the traits of Soniox's sessions (soniox.com/docs, limits and quotas)."""
    return Traits(
        limit=LIMIT_S,
        rotate_after=LIMIT_S - 1200,
        rotate_by=LIMIT_S - 300,
        idle_limit=_IDLE_S,
        keep_alive=KEEP_ALIVE,
        word_times_on_finals=True,
        can_flush=True,
        concurrency=concurrency,
        replay_rate=replay_rate,
    )


class SonioxRecognizer:
    """One per process; see `batkol.recognizers.streaming.recognizer.StreamingRecognizer`."""

    vendor: Final = "Soniox"

    def __init__(
        self,
        *,
        key: str,
        model: str = DEFAULT_MODEL,
        language: str,
        traits: Traits,
        url: str = SONIOX_URL,
        phrases: Sequence[str] = (),
        open_timeout: float = 5.0,
        ping_after: float = PING_AFTER,
        pong_within: float = PONG_WITHIN,
    ) -> None:
        self.model = model
        self.name = f"{SONIOX}/{model}"
        self.reasons = REASONS
        self.endpoint = urlsplit(url).netloc
        self.traits = traits
        self._quota = StreamQuota(traits.concurrency, vendor=self.vendor, setting="SONIOX_MAX_STREAMS")
        self._endpoint = SonioxEndpoint(
            url=url,
            key=key,
            start=start_message(model=model, language=soniox_language(language), phrases=phrases),
            tls=ssl.create_default_context() if url.startswith("wss:") else None,
            open_timeout=open_timeout,
            ping_after=ping_after,
            pong_within=pong_within,
            keep_alive=traits.keep_alive,
        )

    @property
    def streams(self) -> int:
        return self._quota.taken

    def connect(self) -> AbstractAsyncContextManager[SonioxConnection]:
        return self._connect()

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[SonioxConnection]:
        with self._quota.take():
            async with open_session(self._endpoint) as connection:
                yield connection

    def give_up_model(self, model: str, why: str) -> bool:  # noqa: ARG002 - there is no other one
        return False

    async def check(self) -> None:
        """Have a moment of silence recognized. It takes no place of the quota, and Soniox may refuse it one."""
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT), open_session(self._endpoint) as connection:
                try:
                    await connection.write(_SILENCE)
                    await connection.half_close()
                except ConnectionEnded:
                    pass  # `read` has the reason
                while await connection.read() is not None:
                    pass
        except TimeoutError as error:
            raise refused(error) from error
