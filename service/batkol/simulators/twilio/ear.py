"""The caller's ear: what was heard of the service's sound, and when.

Twilio's buffer says when each piece of sound is played. The ear keeps what was played before a `clear` took effect or
the call ended, with the times at which it was heard, the gaps in it, and the words, where the synthetic voice spoke.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from batkol.audio.mulaw import SAMPLE_RATE, silence
from batkol.simulators.voice.recognizer import words_in

GAP_S: Final = 0.040
"""Seconds of silence inside a stretch of sound from which on a caller notices a gap."""

STRETCH_S: Final = 1.0
"""Seconds of silence that end a stretch: what follows is not a late continuation, but something new."""


class Gap(NamedTuple):
    """Silence in the middle of a stretch: the service's sound came too late."""

    at: float  # seconds of the ear's clock
    seconds: float


class EarWord(NamedTuple):
    """A word of the synthetic voice, or the fragment of one (`recognizer.GARBLE`); seconds of the ear's clock."""

    text: str
    begins_at: float
    ends_at: float


@dataclass(slots=True)
class HeardSound:
    """Sound that was heard without an interruption from `begins_at` on."""

    begins_at: float
    mulaw: bytearray
    cut: bool = False  # by a `clear` or by the end of the call


class Ear:
    """The ear of one caller. It may be asked during the call: then it has heard what was played by now.

    `speed` bends the time: 2.0 plays twice as fast.
    """

    __slots__ = ("_clock", "_rate", "_sounds", "_speed")

    def __init__(self, *, speed: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._rate = SAMPLE_RATE * speed
        self._clock = clock
        self._sounds: list[HeardSound] = []

    def append(self, mulaw: bytes, begins_at: float) -> None:
        """Add sound that is played from `begins_at` on, which is now or later, behind all other sound."""
        last = self._sounds[-1] if self._sounds else None
        if last is not None and not last.cut and begins_at <= self._end(last) + 0.5 / self._rate:
            last.mulaw += mulaw
        else:
            self._sounds.append(HeardSound(begins_at, bytearray(mulaw)))

    def clear(self, now: float) -> None:
        """Hear nothing of what has not been played by now."""
        sounds = self._sounds
        while sounds and sounds[-1].begins_at >= now:
            sounds.pop()
        if sounds:
            last = sounds[-1]
            last.cut = True
            del last.mulaw[self._samples(last, now) :]

    @property
    def sounds(self) -> tuple[HeardSound, ...]:
        """Sounds that have been heard by now, with their times."""
        now = self._clock()
        return tuple(
            HeardSound(sound.begins_at, sound.mulaw[: self._samples(sound, now)], sound.cut)
            for sound in self._sounds
            if sound.begins_at < now
        )

    @property
    def heard(self) -> bytes:
        """All that has been heard by now, without the pauses."""
        return b"".join(bytes(sound.mulaw) for sound in self.sounds)

    @property
    def seconds(self) -> float:
        """The length of the sound that has been heard by now, in audio time."""
        return sum(len(sound.mulaw) for sound in self.sounds) / SAMPLE_RATE

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Silence of more than `GAP_S` of audio time that was heard inside a stretch.

        Silence after a `clear` is no gap, and neither is silence of `STRETCH_S`: then nothing more was to be said.
        """
        found = []
        for sound, following in pairwise(self.sounds):
            length = (following.begins_at - self._end(sound)) * self._speed
            if not sound.cut and GAP_S < length < STRETCH_S:
                found.append(Gap(self._end(sound), length / self._speed))
        return tuple(found)

    def words(self) -> tuple[EarWord, ...]:
        """Return the words of the synthetic voice that have been heard by now; a word that was cut is a fragment."""
        return tuple(word for begins_at, mulaw in self._stretches() for word in self._words_of(begins_at, mulaw))

    def texts(self) -> tuple[str, ...]:
        """Return the words that have been heard by now as if no sound had come late: no pause in it is heard.

        What a busy machine plays late is here as it was sent; what is lost, doubled or cut is a fragment here too.
        """
        stretches, heard = [], bytearray()
        for sound in self.sounds:
            heard += sound.mulaw
            if sound.cut:
                stretches.append(heard)
                heard = bytearray()
        return tuple(word.text for mulaw in (*stretches, heard) for word in words_in(bytes(mulaw)))

    def _words_of(self, begins_at: float, mulaw: bytes) -> Iterator[EarWord]:
        for word in words_in(mulaw):
            yield EarWord(word.text, begins_at + word.start / self._rate, begins_at + word.end / self._rate)

    def _stretches(self) -> Iterator[tuple[float, bytes]]:
        """Yield each stretch with its gaps as silence: so it sounded."""
        begins_at, heard = 0.0, bytearray()
        previous: HeardSound | None = None
        for sound in self.sounds:
            pause = round((sound.begins_at - self._end(previous)) * self._rate) if previous is not None else 0
            if previous is None or previous.cut or pause >= STRETCH_S * SAMPLE_RATE:
                if previous is not None:
                    yield begins_at, bytes(heard)
                begins_at, heard = sound.begins_at, bytearray()
            else:
                heard += silence(pause)
            heard += sound.mulaw
            previous = sound
        if previous is not None:
            yield begins_at, bytes(heard)

    def _samples(self, sound: HeardSound, now: float) -> int:
        return min(len(sound.mulaw), max(0, int((now - sound.begins_at) * self._rate + 1e-6)))

    def _end(self, sound: HeardSound) -> float:
        return sound.begins_at + len(sound.mulaw) / self._rate
