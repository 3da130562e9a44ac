"""The step between a stream that ended and the next one: nothing, a wait, or the end of the session.

The recognizer's error table says which; this module says how long the wait is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from batkol.backoff import Backoff
from batkol.recognizers.streaming.errors import STALLED, Next, SpeechError
from batkol.recognizers.streaming.events import SessionDelegate, StreamFailed
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream import Stream

_FORGIVEN: Final = 10.0  # seconds a stream has lived after which its end is the first of its kind again
_LONGEST_WAIT: Final = 2.0  # seconds between two attempts at most


class StreamBackoff:
    """One per session. `closing` ends every wait; `next_audio` waits for audio that has not been heard yet."""

    def __init__(
        self,
        options: StreamingOptions,
        delegate: SessionDelegate,
        *,
        closing: asyncio.Event,
        next_audio: Callable[[], Awaitable[None]],
    ) -> None:
        self._options = options
        self._delegate = delegate
        self._closing = closing
        self._next_audio = next_audio
        self._backoff = Backoff(first_s=options.first_retry, longest_s=_LONGEST_WAIT)
        self._failures = 0  # streams in a row that came to nothing

    def forgive(self) -> None:
        """A stream works, or another recognizer takes over: what was is forgiven."""
        self._failures = 0

    async def after(self, error: SpeechError, stream: Stream, *, lived: float) -> None:
        """Wait as long as this end calls for, after a stream that lived so many seconds.

        Raises the error where another stream would not help, or is not wanted any more. Cancelling loses nothing.
        """
        if self._closing.is_set():
            raise error
        if lived > _FORGIVEN:
            self._failures = 0
        match error.next:
            case Next.ROTATE | Next.REOPEN if lived > _FORGIVEN or self._failures == 0:
                self._failures += 1  # a stream that reaches its limit at once, again and again, is no limit
                if error.next is Next.REOPEN:
                    await self._next_audio()
            case Next.REMODEL if stream.recognizer.give_up_model(stream.model, str(error)):
                return
            case Next.ROTATE | Next.REOPEN | Next.REPLAY:
                await self._try_again(error, stream.recognizer)
            case _:
                self._delegate.observe(StreamFailed(error, stream.recognizer.name))
                raise error

    async def _try_again(self, error: SpeechError, recognizer: StreamingRecognizer) -> None:
        self._delegate.observe(StreamFailed(error, recognizer.name))
        self._failures += 1
        if self._failures > self._most(error, recognizer) or not self._delegate.may_try(recognizer):
            raise error
        try:
            async with asyncio.timeout(self._backoff.wait_s(self._failures - 1)):
                await self._closing.wait()
        except TimeoutError:
            return
        raise error

    def _most(self, error: SpeechError, recognizer: StreamingRecognizer) -> int:
        """Return how many streams of a recognizer may fail in a row: fewer where another one can take over."""
        another = self._delegate.has_another(recognizer)
        if error.reason == STALLED:
            return 0 if another else 1
        return 1 if another else self._options.attempts
