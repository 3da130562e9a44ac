"""The built-in voice: it speaks the marked words, needs nothing installed and no network, and is for demos and tests.

It knows some two dozen Hebrew words. A word that it lacks sounds as a hum of about the word's length: the reply keeps
its shape, the word times stay exact, and a listener hears that a word is missing. Real callers need another voice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
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
    """The marked words, at once. It never fails. Each piece is one `VoiceSound`."""

    name = "builtin"

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`. Nothing is under way between two sounds."""
        number, pause = 0, b""
        async for text in pieces:
            spoken_piece = sound(text, number, pause)
            pause = _pause() if spoken_piece.mulaw else pause
            yield spoken_piece
            number += 1

    async def aclose(self) -> None:
        """See `Voice`. There is nothing to close."""


def sound(text: str, piece: int = 0, pause: bytes = b"") -> VoiceSound:
    """Return the sound of a text, with the end of each word as `str.split` has them. `pause` comes before the first.

    A word that is punctuation alone has no sound.
    """
    spoken_words, ends, at = list[bytes](), list[int](), 0
    for word in text.split():
        for part in parts(word):
            spoken_words += (pause, _word(part))
            at += len(pause) + len(spoken_words[-1])
            pause = _pause()
        ends.append(at)
    return VoiceSound(b"".join(spoken_words), piece, last=True, word_ends=tuple(ends))


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
