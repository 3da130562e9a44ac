"""The synthetic voice: real Hebrew words, each with a signature that the speech double reads back.

What is said is mu-law at 8 kHz, as Twilio sends it, together with where in it each word lies: a test compares the
words that were recognised with those that were said.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.voices.marked.signature import length, signature, symbol_count

PAUSE_MS: Final = 60
"""Between two words of an utterance: short enough for a VAD to keep hearing speech."""

_FLOOR: Final = 8.0  # RMS of the line's noise; digital silence between words is what no telephone has


class SpokenWord(NamedTuple):
    """One word and its samples, [start, end)."""

    text: str
    start: int
    end: int


class SpokenAudio(msgspec.Struct, frozen=True):
    """Audio with its words, and its utterances as words of several words."""

    mulaw: bytes
    words: tuple[SpokenWord, ...]
    utterances: tuple[SpokenWord, ...]

    @property
    def text(self) -> str:
        """The words in order, separated by spaces."""
        return " ".join(word.text for word in self.words)


@cache
def _speech() -> dict[str, npt.NDArray[np.int16]]:
    with np.load(Path(__file__).with_name("words") / "words.npz") as stored:
        ends = np.cumsum(stored["lengths"])
        return dict(zip(stored["words"].tolist(), np.split(stored["speech"], ends[:-1]), strict=True))


WORDS: Final[tuple[str, ...]] = tuple(_speech())


@cache
def symbols(word: str) -> int:
    """Return how many two-tone symbols the word's signature has. Raises `KeyError` for a word the voice lacks."""
    return symbol_count(len(_speech()[word]))


@cache
def _marked(word: str) -> npt.NDArray[np.float64]:
    whole = signature(word, symbols(word))
    speech = _speech()[word]
    whole[: len(speech)] += speech
    return whole


def word_samples(word: str) -> int:
    """Return the word's length in samples, signature included."""
    return length(symbols(word))


def say(words: Sequence[str], *, pause_ms: int = PAUSE_MS) -> SpokenAudio:
    """Say one utterance, with nothing before and after it. Raises `KeyError` for a word the voice lacks."""
    return script((words,), pause_ms=pause_ms, lead_ms=0, tail_ms=0)


def script(
    utterances: Sequence[Sequence[str]],
    *,
    gap_ms: int = 1000,
    lead_ms: int = 500,
    tail_ms: int = 1000,
    pause_ms: int = PAUSE_MS,
) -> SpokenAudio:
    """Say utterances with `gap_ms` of quiet between them, `lead_ms` before the first and `tail_ms` after the last.

    Raises `KeyError` for a word the voice lacks.
    """
    words: list[SpokenWord] = []
    spans: list[SpokenWord] = []
    at = lead_ms * SAMPLES_PER_MS
    for utterance in utterances:
        start = at
        for word in utterance:
            words.append(SpokenWord(word, at, at + word_samples(word)))
            at = words[-1].end + pause_ms * SAMPLES_PER_MS
        at -= pause_ms * SAMPLES_PER_MS if utterance else 0
        spans.append(SpokenWord(" ".join(utterance), start, at))
        at += gap_ms * SAMPLES_PER_MS
    total = at + (tail_ms - (gap_ms if utterances else 0)) * SAMPLES_PER_MS
    return SpokenAudio(_render(words, total), tuple(words), tuple(spans))


def _render(words: Sequence[SpokenWord], total: int) -> bytes:
    line = np.random.default_rng(0).normal(0.0, _FLOOR, total)
    for word in words:
        line[word.start : word.end] += _marked(word.text)
    return mulaw.encode(np.round(line).astype(np.int16))


def random_utterances(seed: int, n: int, words_each: int | tuple[int, int]) -> tuple[tuple[str, ...], ...]:
    """Draw `n` utterances of that many words (or between two numbers of them); one seed gives one answer."""
    draw = random.Random(seed)
    fewest, most = (words_each, words_each) if isinstance(words_each, int) else words_each
    return tuple(tuple(draw.choices(WORDS, k=draw.randint(fewest, most))) for _ in range(n))
