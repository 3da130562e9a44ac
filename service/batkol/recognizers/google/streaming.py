"""Google's v1p1beta1 as a streaming recognizer of the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.check import GoogleCheck
from batkol.recognizers.google.connection import GoogleConnection, open_stream
from batkol.recognizers.google.errors import TABLE
from batkol.recognizers.google.languages import API, DEFAULT_MODEL
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.wire import MESSAGE_BYTES, RecognitionConfig
from batkol.recognizers.settings import GOOGLE_LIMIT_S
from batkol.recognizers.streaming.traits import Traits

OPEN_TIMEOUT: Final = 5.0  # seconds to get a stream; the 101st on a connection would wait for ever
CHECK_TIMEOUT: Final = 5.0  # seconds; a check without an answer by then decides nothing
SILENCE: Final = b"\xff" * 800  # 100 ms

_IDLE_S: Final = 10.0  # "Audio Timeout Error: Long duration elapsed without audio"


def traits(
    *,
    rotate_after: float = 240.0,
    rotate_by: float = 285.0,
    replay_rate: float,
    concurrency: int = 0,
    limit: float | None = GOOGLE_LIMIT_S,
) -> Traits:
    """Return the traits of Google's streams (cloud.google.com/speech-to-text/quotas). Times in seconds.

    `limit` None: another server speaks Google's protocol, and lets a stream live as long as it likes.
    """
    return Traits(
        limit=limit,
        rotate_after=rotate_after,
        rotate_by=rotate_by,
        idle_limit=_IDLE_S,
        word_times_on_finals=True,
        concurrency=concurrency,
        replay_rate=replay_rate,
        longest_message=MESSAGE_BYTES // 2,
    )


class GoogleRecognizer:
    """One per process; see `batkol.recognizers.streaming.recognizer.StreamingRecognizer`."""

    vendor: Final = "Google"

    def __init__(
        self, channels: Channels, config: RecognitionConfig, *, traits: Traits, open_timeout: float = OPEN_TIMEOUT
    ) -> None:
        self.channels = channels
        self.config = config
        self.traits = traits
        self.open_timeout = open_timeout
        self.name = f"{API}/{config.model}"
        self.reasons = tuple(dict.fromkeys(row.reason for row in TABLE))
        self.endpoint = channels.address
        self.streams = 0
        self._check = GoogleCheck(channels, SingleRecognizer(channels, config, deadline=CHECK_TIMEOUT))

    @property
    def model(self) -> str:
        return self.config.model

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[GoogleConnection]:
        self.streams += 1
        try:
            async with open_stream(self.channels, self.config, within=self.open_timeout) as connection:
                yield connection
        finally:
            self.streams -= 1

    def give_up_model(self, model: str, why: str) -> bool:
        if model == DEFAULT_MODEL:
            return False
        self.config.lacks(model, why)
        return True

    async def check(self) -> None:
        """Send a single request; look for the credentials first, if there were none."""
        await self._check.recognize(SILENCE)
