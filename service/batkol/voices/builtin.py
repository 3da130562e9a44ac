"""The built-in voice: it speaks the marked words, needs nothing installed and no network, and is for demos and tests.

It knows some two dozen Hebrew words. A word that it lacks sounds as a hum of about the word's length: the reply keeps
its shape, the word times stay exact, and a listener hears that a word is missing. Real callers need another voice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import cache
from typing import Final

import numpy as np

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.speech.sameness import spoken
from batkol.voices.marked.voice import WORDS, say, script
from batkol.voices.voice import VoiceSound

_HUM_HZ: Final = (220.0, 330.0)  # far below the band of the marks: what reads the words back hears nothing
_HUM_AMPLITUDE: Final = 1500.0  # each tone; the words' peaks are at 10,000
_LETTER_MS: Final = 75  # the marked words take 70 to 120 ms a letter
_SHORTEST_MS, _LONGEST_MS = 150, 900
_FADE: Final = 80  # samples, 10 ms
_VOCABULARY: Final = frozenset(WORDS)


class BuiltinVoice:
    """The marked words, at once. It never fails. Each word is one `VoiceSound`."""

    name = "builtin"

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`. Nothing is under way between two sounds."""
        number, pause = 0, b""
        async for text in pieces:
            for sound in sounds(text, number, pause):
                pause = _pause()
                yield sound
            number += 1

    async def aclose(self) -> None:
        """See `Voice`. There is nothing to close."""


def sounds(text: str, piece: int = 0, pause: bytes = b"") -> Iterator[VoiceSound]:
    """Yield a sound for each word of the text as `str.split` has it. `pause` comes before the first one.

    A word that is punctuation alone has no sound; a text without a word is one empty sound.
    """
    words = text.split()
    at = 0
    for number, word in enumerate(words, 1):
        sound = b""
        for part in parts(word):
            sound += pause + _word(part)
            pause = _pause()
        at += len(sound)
        yield VoiceSound(sound, piece, last=number == len(words), word_ends=(at,))
    if not words:
        yield VoiceSound(b"", piece, last=True)


def parts(word: str) -> list[str]:
    """Return the words that are spoken for one word of a text, without niqqud and punctuation: 14:30 is two, — none."""
    return spoken(word).split()


def _word(word: str) -> bytes:
    return _marked(word) if word in _VOCABULARY else _hum(min(max(len(word) * _LETTER_MS, _SHORTEST_MS), _LONGEST_MS))


@cache
def _marked(word: str) -> bytes:
    return say([word]).mulaw


@cache
def _pause() -> bytes:
    return script((), lead_ms=60, tail_ms=0).mulaw


@cache
def _hum(ms: int) -> bytes:
    """Return a hum in the place of a word."""
    samples = ms * SAMPLES_PER_MS
    seconds = np.arange(samples) / SAMPLE_RATE
    tones = sum((np.sin(2 * np.pi * hz * seconds) for hz in _HUM_HZ), np.zeros(samples)) * _HUM_AMPLITUDE
    fade = np.minimum(1.0, np.minimum(np.arange(samples) + 1, np.arange(samples)[::-1] + 1) / _FADE)
    return mulaw.encode(np.round(tones * fade).astype(np.int16))
