"""Phrases that are said often (greeting, filler, apology, …): synthesized once, and there without waiting.

One cache belongs to one voice and language. It asks the voice in the background, one phrase at a time, and asks again
later for what failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec
import structlog

from batkol.backoff import Backoff
from batkol.voices.voice import Voice, VoiceError

MOST: Final = 64
"""Phrases that are kept; the one that was unused for longest goes first."""
LONGEST: Final = 30 * 8000
"""Samples of a phrase."""
_RETRIES: Final = Backoff(first_s=1.0, longest_s=60.0)
_WITHIN_S: Final = 20.0

_log = structlog.get_logger()


class Phrase(msgspec.Struct, frozen=True):
    """A text and its whole sound."""

    text: str
    mulaw: bytes
    word_ends: tuple[int, ...] = ()
    """As in `VoiceSound`."""


class PhraseCache:
    """The phrases of one voice. `language` is part of what a phrase is: another language is another cache."""

    def __init__(
        self, voice: Voice, language: str, *, retries: Backoff = _RETRIES, within_s: float = _WITHIN_S
    ) -> None:
        self.voice = voice
        self.language = language
        self._retries = retries
        self._within_s = within_s
        self._phrases: dict[str, Phrase] = {}  # the one used last is the last one
        self._wanted: dict[str, int] = {}  # text to the number of failures so far
        self._under_way: dict[str, asyncio.Future[Phrase]] = {}
        self._changed = asyncio.Event()

    def want(self, *texts: str) -> None:
        """Have these synthesized in the background (`run`), in this order, unless they are there."""
        for text in texts:
            if text and text not in self._phrases and text not in self._wanted and len(self._wanted) < MOST:
                self._wanted[text] = 0
                self._changed.set()

    def forget(self, *texts: str) -> None:
        """Have these not synthesized any more, where the voice has not spoken them so far."""
        for text in texts:
            self._wanted.pop(text, None)

    def get(self, text: str) -> Phrase | None:
        """Return the phrase if it is there; otherwise have it made in the background, and return None. Never waits."""
        phrase = self._phrases.pop(text, None)
        if phrase is None:
            self.want(text)
            return None
        self._phrases[text] = phrase
        return phrase

    async def ensure(self, text: str) -> Phrase:
        """Return the phrase, synthesized now if need be, once for all who ask. Raises `VoiceError`.

        Cancelling it ends the synthesis; another one who waits for it begins it again.
        """
        while (phrase := self.get(text)) is None:
            under_way = self._under_way.get(text)
            if under_way is None:
                return await self._make(text)
            await asyncio.wait([under_way])
            if not under_way.cancelled():
                return under_way.result()
        return phrase

    async def run(self) -> None:
        """Synthesize what is wanted, for as long as the service runs. A failure is logged and tried again later."""
        while True:
            self._changed.clear()
            failures = [
                count for text in tuple(self._wanted) if text in self._wanted and (count := await self._try(text))
            ]
            wait = self._retries.wait_s(min(failures) - 1) if failures else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _try(self, text: str) -> int:
        """Return how often in a row the voice failed at this text; 0 for one that is not wanted any more."""
        if text not in self._wanted:
            return 0
        try:
            await self.ensure(text)
        except VoiceError as error:
            if text not in self._wanted:  # forgotten meanwhile
                return 0
            failures = self._wanted[text] = self._wanted[text] + 1
            if failures == 1:
                _log.warning(
                    "[VOICE] a phrase has no sound yet; it is tried again",
                    voice=self.voice.name,
                    reason=error.reason,
                    error=str(error),
                )
            return failures
        return 0

    async def _make(self, text: str) -> Phrase:
        made: asyncio.Future[Phrase] = asyncio.get_running_loop().create_future()
        self._under_way[text] = made
        try:
            phrase = await self._synthesize(text)
        except VoiceError as error:
            made.set_exception(error)
            made.exception()  # retrieved, in case that no other task waits
            raise
        else:
            made.set_result(phrase)
        finally:
            made.cancel()  # unless it has a result: another one who asked begins again
            del self._under_way[text]
        self._keep(phrase)
        return phrase

    async def _synthesize(self, text: str) -> Phrase:
        sound = bytearray()
        ends: list[int] = []
        try:
            async with (
                asyncio.timeout(self._within_s),
                aclosing(_only(text)) as pieces,
                aclosing(self.voice.speak(pieces)) as sounds,
            ):
                async for each in sounds:
                    sound += each.mulaw
                    ends += each.word_ends
                    if len(sound) > LONGEST:
                        message = f"a phrase is longer than {LONGEST // 8000} s"
                        raise VoiceError(message, reason="too_long", retryable=False)
        except TimeoutError as error:
            message = f"the voice did not finish a phrase within {self._within_s:g} s"
            raise VoiceError(message, reason="deadline", retryable=True) from error
        if not sound:
            raise VoiceError("the voice gave no sound for a phrase", reason="empty", retryable=True)
        return Phrase(text, bytes(sound), tuple(ends))

    def _keep(self, phrase: Phrase) -> None:
        self._wanted.pop(phrase.text, None)
        self._phrases[phrase.text] = phrase
        while len(self._phrases) > MOST:
            del self._phrases[next(iter(self._phrases))]


async def _only(text: str) -> AsyncGenerator[str, None]:
    yield text
