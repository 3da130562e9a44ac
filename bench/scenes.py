"""Scenes of the lost-words comparison: the callers' words, and the recognizer's limits meanwhile.

Google ends a stream after 305 s; pipecat and livekit replace theirs after 240 s, Batkol between 240 and 285 s. All of
these are divided by the same number, so that a call of 80 s sees what one of 13 minutes would. Nothing else is
scaled: words, pauses, and the time that a final takes. The number is small enough to leave a final between 240 s and
305 s, both divided, to a caller who pauses; livekit waits for one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.google.settings import DoubleSettings
from batkol.voices.marked import voice

SCALE: Final = 10
RECONNECT_S: Final = 240 / SCALE
ROTATE_BY_S: Final = 285 / SCALE
LIMIT_S: Final = 305 / SCALE

_SECONDS: Final = 75.0
_PHRASE: Final = 8
_PAUSE_MS, _NO_PAUSE_MS = 1200, 200
_TAIL_MS: Final = 5000  # every server has this long for its last final before the caller hangs up


@dataclass(frozen=True, slots=True)
class Scene:
    """One call. Without `scaled` the limits are Google's own, and the call is over before any is reached."""

    name: str
    audio: bytes
    words: tuple[str, ...]
    scaled: bool = True
    final_every_s: float = 0.0  # the recognizer sends finals inside speech that long; 0: only after silence
    pauses_are_words: bool = False  # the pause before a final is its first word's, as it is a later word's in any case

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE

    @property
    def recognizer(self) -> DoubleSettings:
        limits = DoubleSettings(stream_limit_s=LIMIT_S) if self.scaled else DoubleSettings()
        return msgspec.structs.replace(limits, first_word_takes_pause=self.pauses_are_words)


def _deck(seed: int) -> Iterator[str]:
    """All words of the voice in a random order, again and again: two that are alike are never near each other."""
    words = list(voice.WORDS)
    random.Random(seed).shuffle(words)
    while True:
        yield from words


def _talk(deck: Iterator[str], seconds: float, gap_ms: int, tail_ms: int) -> voice.SpokenAudio:
    """Say phrases, for so long at most."""
    phrases: list[list[str]] = []
    spent = 0.0
    while spent < seconds:
        phrases.append([next(deck) for _ in range(_PHRASE)])
        spent += (len(voice.say(phrases[-1]).mulaw) / SAMPLE_RATE) + gap_ms / 1000
    return voice.script(phrases[:-1], gap_ms=gap_ms, tail_ms=tail_ms)


def _words(spoken: voice.SpokenAudio) -> tuple[str, ...]:
    return tuple(word.text for word in spoken.words)


def _silent_across_the_limit() -> voice.SpokenAudio:
    """Talk until shortly before a stream may be replaced, and be silent until after Google has ended it."""
    deck = _deck(3)
    before = _talk(deck, RECONNECT_S - 2.5, _PAUSE_MS, 0)
    silent_ms = round(1000 * (LIMIT_S + 3 - len(before.mulaw) / SAMPLE_RATE))
    quiet = voice.script((), lead_ms=0, tail_ms=silent_ms)
    after = _talk(deck, 20, _PAUSE_MS, _TAIL_MS)
    return voice.SpokenAudio(before.mulaw + quiet.mulaw + after.mulaw, before.words + after.words, ())


def scenes() -> Sequence[Scene]:
    """Return the scenes: two without a limit, for whether every server hears all words, then the comparison."""
    pausing = _talk(_deck(1), _SECONDS, _PAUSE_MS, _TAIL_MS)
    flowing = _talk(_deck(2), _SECONDS, _NO_PAUSE_MS, _TAIL_MS)
    silent = _silent_across_the_limit()
    return (
        Scene("no limit reached, pauses of 1.2 s", pausing.mulaw, _words(pausing), scaled=False),
        Scene("no limit reached, never pauses", flowing.mulaw, _words(flowing), scaled=False),
        Scene("pauses of 1.2 s", pausing.mulaw, _words(pausing)),
        Scene("never pauses", flowing.mulaw, _words(flowing)),
        Scene("never pauses, finals inside speech", flowing.mulaw, _words(flowing), final_every_s=5.0),
        Scene("pauses of 1.2 s, in word times", pausing.mulaw, _words(pausing), pauses_are_words=True),
        Scene(
            "never pauses, finals inside speech, pauses in word times",
            flowing.mulaw,
            _words(flowing),
            final_every_s=5.0,
            pauses_are_words=True,
        ),
        Scene("silent across the limit", silent.mulaw, _words(silent)),
    )
