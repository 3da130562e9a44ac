"""What the soak's callers say and do: one never pauses, one speaks in sentences, one is mostly silent and put on hold.

The first of the three wears out streams without ever giving them a silence or a final to be replaced in; the last
has streams replaced while nothing is said, and while Twilio sends nothing at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.simulators.twilio.handset import FRAME
from batkol.voices.marked import voice
from batkol.voices.marked.voice import SpokenWord

_LEAD_MS: Final = 400
_BREATH: Final = 8  # words of endless speech that are made at a time


class Manner(StrEnum):
    """How a caller speaks."""

    ENDLESS = "never pauses"
    SENTENCES = "sentences"
    HELD = "silent, on hold"


MANNERS: Final = (Manner.ENDLESS, Manner.SENTENCES, Manner.HELD)


@dataclass(frozen=True, slots=True)
class Hold:
    """No media at all, from the first pause after `begins_s`, for `lasts_s`; before and after it a sentence now and
    then, with up to `quiet_s` of silence between them.
    """

    begins_s: float
    lasts_s: float
    quiet_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """All that one caller says. Words are in the call's audio time: samples since its first, the hold included."""

    manner: Manner
    mulaw: bytes
    words: tuple[SpokenWord, ...]
    holds: tuple[tuple[int, int], ...] = ()
    """(at, length) in ms, as a `CallPlan` takes them."""


Piece = tuple[bytes, Sequence[SpokenWord]]


def part(number: int, *, seconds: float, hold: Hold) -> Part:
    """Write the part of caller `number`, at least so many seconds long."""
    manner = MANNERS[number] if number < len(MANNERS) else Manner.ENDLESS
    draw = random.Random(number)
    match manner:
        case Manner.ENDLESS:
            return Part(manner, *_joined(_endless(draw), seconds))
        case Manner.SENTENCES:
            return Part(manner, *_joined(_sentences(draw, words=(3, 6), quiet_ms=(700, 2500)), seconds))
        case Manner.HELD:
            return _held(draw, seconds, hold)


def _held(draw: random.Random, seconds: float, hold: Hold) -> Part:
    quiet_ms = (round(hold.quiet_s * 500), round(hold.quiet_s * 1000))
    sentences = _sentences(draw, words=(2, 4), quiet_ms=quiet_ms)
    if seconds < hold.begins_s + hold.lasts_s:  # over before that
        return Part(Manner.HELD, *_joined(sentences, seconds))
    before, said = _joined(sentences, hold.begins_s)
    before = before[: len(before) // FRAME * FRAME]  # the hold begins between two messages; it is quiet there
    begins_ms, lasts_ms = len(before) // SAMPLES_PER_MS, round(hold.lasts_s * 50) * 20
    gone = len(before) + lasts_ms * SAMPLES_PER_MS
    after, later = _joined(sentences, seconds - gone / SAMPLE_RATE)
    return Part(Manner.HELD, before + after, (*said, *_moved(later, gone)), ((begins_ms, lasts_ms),))


def _endless(draw: random.Random) -> Iterator[Piece]:
    """Words, with nothing but the gap between two words after each."""
    while True:
        said = voice.script((draw.choices(voice.WORDS, k=_BREATH),), lead_ms=0, tail_ms=voice.PAUSE_MS)
        yield said.mulaw, said.words


def _sentences(draw: random.Random, *, words: tuple[int, int], quiet_ms: tuple[int, int]) -> Iterator[Piece]:
    while True:
        sentence = draw.choices(voice.WORDS, k=draw.randint(*words))
        said = voice.script((sentence,), lead_ms=_LEAD_MS, tail_ms=draw.randint(*quiet_ms) - _LEAD_MS)
        yield said.mulaw, said.words


def _joined(pieces: Iterable[Piece], seconds: float) -> tuple[bytes, tuple[SpokenWord, ...]]:
    mulaw = bytearray()
    words: list[SpokenWord] = []
    for sound, said in pieces:
        words += _moved(said, len(mulaw))
        mulaw += sound
        if len(mulaw) >= seconds * SAMPLE_RATE:
            break
    return bytes(mulaw), tuple(words)


def _moved(words: Iterable[SpokenWord], by: int) -> list[SpokenWord]:
    return [SpokenWord(word.text, word.start + by, word.end + by) for word in words]
