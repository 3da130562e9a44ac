"""Spans of speech in a sound, found by the detector of the calls."""

from __future__ import annotations

from functools import partial
from typing import Final

from batkol.audio import mulaw
from batkol.audio.level import window_levels
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.quiet import is_loud
from batkol.audio.ring import Ring
from batkol.audio.segmenter import (
    Segmenter,
    SegmenterSettings,
    SegmentQuiet,
    SegmentResumed,
    SpeechEnded,
    SpeechStarted,
)
from batkol.compare.known_speech import SpeechSpan
from batkol.vad.engine import VadEngine

QUIET_DB: Final = 35.0
"""Level below the loudest 10 ms of a span at which there is no speech: an engine hears some 100 ms after the sound."""

_STEP: Final = 10 * SAMPLES_PER_MS

_HELD_MS: Final = 500
"""Milliseconds for which an engine may go on hearing speech after the last sound."""


def find_spans(sound: bytes, engine: VadEngine, settings: SegmenterSettings) -> tuple[SpeechSpan, ...]:
    """Return the spans of speech in mu-law. Silence follows the sound, as on a line: the last span ends by it, too.

    A span ends with its last sound that is not quiet. In a noise that is louder than `QUIET_DB` below the speech, it
    ends where the engine says, which is later.
    """
    window = engine.window
    heard = len(sound) + (settings.silence_ms + _HELD_MS) * SAMPLES_PER_MS
    padded = sound + mulaw.silence(heard + -heard % window - len(sound))
    ring = Ring(capacity=len(padded))
    ring.append(padded)
    segmenter = Segmenter(settings, partial(is_loud, ring))
    slot = engine.open()
    try:
        second = SAMPLE_RATE // window * window
        scores = [
            probability
            for at in range(0, len(padded), second)
            for probability in engine.score([slot], [padded[at : at + second]])[0]
        ]
    finally:
        engine.close(slot)
    spans: list[SpeechSpan] = []
    begin, pauses, resumed = 0, list[int](), list[int]()
    events = [
        event
        for number, score in enumerate(scores)
        for event in segmenter.append_score(score, number * window, (number + 1) * window)
    ]
    for event in (*events, *segmenter.flush(len(padded))):
        match event:
            case SpeechStarted(speech_at=at):
                begin, pauses, resumed = at, [], []
            case SegmentQuiet(decided_at=decided_at):
                pauses.append(decided_at)
            case SegmentResumed(decided_at=decided_at):
                resumed.append(decided_at)
            case SpeechEnded(at=at, decided_at=decided_at):
                end = _last_sound(sound, begin, min(at, len(sound)))
                spans.append(SpeechSpan(begin, end, max(decided_at, end), tuple(pauses), tuple(resumed)))
            case _:
                pass
    return tuple(spans)


def _last_sound(sound: bytes, begin: int, end: int) -> int:
    """Return the end of the last 10 ms of [begin, end) that are not quiet."""
    steps = (end - begin) // _STEP
    if steps < 1:
        return end
    levels = window_levels(sound[begin : begin + steps * _STEP], _STEP)
    limit = max(levels) * 10 ** (-QUIET_DB / 10)
    return begin + _STEP * max(number for number, level in enumerate(levels, 1) if level >= limit)
