"""The streams that this process may hold at once with one recognizer, which counts them for the whole account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from batkol.quantity import quantity
from batkol.recognizers.streaming.errors import NO_STREAM_FREE, Next, SpeechError


class StreamQuota:
    """One per recognizer and process. `limit` 0 means any number; `setting` is the variable that sets it."""

    def __init__(self, limit: int, *, vendor: str, setting: str) -> None:
        self.limit = limit
        self.taken = 0
        self._vendor = vendor
        self._setting = setting

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one stream of the quota. Raises `SpeechError` (`no_stream_free`) if there is none."""
        if self.limit and self.taken >= self.limit:
            raise no_stream_free(self.limit, vendor=self._vendor, setting=self._setting)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def no_stream_free(limit: int, *, vendor: str, setting: str) -> SpeechError:
    """Return the error of a process that uses all of its streams."""
    return SpeechError(
        f"this process uses all of its {quantity(limit, 'stream')} to {vendor}; the call continues without streaming "
        f"until a stream is free ({setting} sets the limit)",
        reason=NO_STREAM_FREE,
        next_step=Next.COOL_OFF,
    )
