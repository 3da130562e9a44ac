"""A second voice behind the first: it speaks on from the first piece of which the caller was given no sound.

A piece that broke off is not begun again: the caller would hear its words twice. Its rest is missed, the history has
only those of its words that were heard, and the log and a metric say that it happened (ADR 0031).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

import structlog
from msgspec.structs import replace

from batkol.audio.mulaw import is_silent
from batkol.speech.breaker import Breaker
from batkol.voices.google.sessions import NO_SESSION_FREE
from batkol.voices.settings import THEN_AFTER_MS
from batkol.voices.shared_pieces import SharedPieces
from batkol.voices.voice import ConnectedVoice, Voice, VoiceError, VoiceSound

NO_SOUND: Final = "no_sound"
"""The reason when it did not."""
COOLING: Final = "cooling_off"
"""The reason when the first voice was not asked, for it has failed lately."""

_NOT_ITS_FAULT: Final = frozenset({"too_long", NO_SESSION_FREE})
"""Reasons that say nothing of the voice, and cost no wait."""

SWITCHES: Final = (NO_SOUND, COOLING, "cut_off", "deadline", "quota", "unauthorized", "unavailable")
"""The reasons that are likely: `batkol_voice_switches_total` begins with them."""

OnSwitch = Callable[[str], None]
"""Called with the reason, for each reply that the second voice speaks, or speaks on."""

_log = structlog.get_logger()


class BehindVoice:
    """`second` speaks on where `first` fails, or gives no sound of a piece within `within_s` seconds.

    After two failures in a row, or one that no retry mends, the first voice is left alone for a while: 10 s, and twice
    as long after each trial that fails, up to two minutes. `first` may be such a pair itself.
    """

    def __init__(
        self,
        first: Voice,
        second: Voice,
        *,
        within_s: float = THEN_AFTER_MS / 1000,
        on_switch: OnSwitch | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self.first = first
        self.second = second
        self._within_s = within_s
        self._on_switch = on_switch or (lambda _: None)
        self._breaker = breaker or Breaker(failures=2)

    @property
    def name(self) -> str:
        """The name of the first voice; the sounds of the second one have its own."""
        return self.first.name

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`. The errors are those of the second voice; a piece that broke off has no last sound."""
        shared, given = SharedPieces(pieces), GivenOut(self._within_s)
        try:
            if self._breaker.allows(self._now()):
                try:
                    async with aclosing(self._of_first(shared, given)) as sounds:
                        async for sound in sounds:
                            yield sound
                except VoiceError as error:
                    self._failed(error, given)
                else:
                    return
            else:
                self._on_switch(COOLING)
            begin = given.first_unheard
            async with aclosing(shared.since(begin)) as rest, aclosing(self.second.speak(rest)) as sounds:
                async for sound in sounds:
                    yield replace(sound, piece=sound.piece + begin, voice=sound.voice or self.second.name)
        finally:
            await shared.close()

    async def warm_up(self) -> None:
        """See `ConnectedVoice`. Both are tried; a first voice that cannot speak is left alone at once."""
        try:
            await _warm_up(self.first)
        except VoiceError as error:
            self._breaker.fail(self._now(), error.reason, grave=True)
            await _warm_up(self.second)
            raise
        await _warm_up(self.second)

    async def aclose(self) -> None:
        """Close both."""
        await self.first.aclose()
        await self.second.aclose()

    async def _of_first(self, shared: SharedPieces, given: GivenOut) -> AsyncGenerator[VoiceSound, None]:
        """Yield what the first voice speaks. Raises `VoiceError`, also for a piece without sound in time."""
        async with (
            aclosing(shared.since(0, given.handed)) as pieces,
            aclosing(self.first.speak(pieces)) as sounds,
        ):
            try:
                while (sound := await self._next(sounds, given)) is not None:
                    if given.ends_in_silence(sound):
                        raise VoiceError("the voice's sound of a piece is silence", reason="silent", retryable=True)
                    given.sound(sound)
                    yield sound
            except GeneratorExit:  # the caller interrupted the reply: it spoke until then
                if not given.first_unheard:
                    raise
            self._breaker.succeed(self._now())

    async def _next(self, sounds: AsyncGenerator[VoiceSound, None], given: GivenOut) -> VoiceSound | None:
        try:
            async with asyncio.timeout(None) as patience:
                given.watch(patience)
                return await anext(sounds, None)
        except TimeoutError as error:
            message = f"the voice gave no sound of a piece within {self._within_s:g} s"
            raise VoiceError(message, reason=NO_SOUND, retryable=True) from error
        finally:
            given.watch(None)

    def _failed(self, error: VoiceError, given: GivenOut) -> None:
        if error.reason not in _NOT_ITS_FAULT:
            self._breaker.fail(self._now(), error.reason, grave=not error.retryable)
        self._on_switch(error.reason)
        _log.warning(
            "[VOICE] the voice failed; another voice continues the reply from the first unheard sentence",
            voice=self.first.name,
            second=self.second.name,
            reason=error.reason,
            error=str(error),
            sentence=given.first_unheard,
            broken_off=given.broken_off,
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class GivenOut:
    """The pieces that a voice was handed, those of which it gave sound, and how long the next sound may take.

    Silence is no sound: a piece that begins with nothing else has not begun.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._handed = 0  # pieces
        self._whole = 0  # pieces
        self._begun = False  # the piece after those has sound
        self._silence = 0  # samples of it without any
        self._due = 0.0  # the time of the loop at which it must have begun
        self._patience: asyncio.Timeout | None = None

    @property
    def first_unheard(self) -> int:
        """The number of the first piece without any sound."""
        return self._whole + self._begun

    @property
    def broken_off(self) -> bool:
        """Whether a piece has sound and not all of it."""
        return self._begun

    def handed(self, number: int) -> None:
        """The voice gets a piece to speak."""
        self._handed = number + 1
        if number == self._whole:
            self._reschedule()

    def ends_in_silence(self, sound: VoiceSound) -> bool:
        """Whether a piece ends with this, and all of it is silence. A piece without words has no sound at all."""
        samples = (self._silence if sound.piece == self._whole else 0) + len(sound.mulaw)
        begun = self._begun and sound.piece == self._whole
        return sound.last and samples > 0 and not begun and is_silent(sound.mulaw)

    def sound(self, sound: VoiceSound) -> None:
        """The voice gave a sound."""
        self._silence = (self._silence if sound.piece == self._whole else 0) + len(sound.mulaw)
        self._begun = (self._begun and sound.piece == self._whole) or not is_silent(sound.mulaw)
        self._whole = max(self._whole, sound.piece)
        if sound.last:
            self._whole, self._begun, self._silence = sound.piece + 1, False, 0
            self._reschedule()

    def watch(self, patience: asyncio.Timeout | None) -> None:
        """Wait for the next sound with this time-out; None: it is there."""
        self._patience = patience
        if self._handed > self._whole and not self._begun:
            self._apply()

    def _reschedule(self) -> None:
        """The piece that is next has its time from now on; silence does not renew it."""
        self._due = asyncio.get_running_loop().time() + self._within_s
        self._apply()

    def _apply(self) -> None:
        if self._patience is not None:
            self._patience.reschedule(self._due)


async def _warm_up(voice: Voice) -> None:
    if isinstance(voice, ConnectedVoice):
        await voice.warm_up()
