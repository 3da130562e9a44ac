"""The audio of one utterance for a single request: all of it, what surrounds it, and none of its neighbours' speech."""

from __future__ import annotations

from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.audio.quiet import quietest
from batkol.audio.ring import Ring
from batkol.speech.utterance import Utterance

HEAD: Final = SAMPLE_RATE // 2
"""The excerpt begins half a second before the pre-roll: a late start of detection costs the first word."""

TAIL: Final = SAMPLE_RATE
"""The excerpt ends up to a second after the end of speech, at a quiet spot: detectors also miss the ends of words."""

SURE: Final = SAMPLE_RATE // 4
"""The quiet spot is searched from the last quarter of a second of the certain silence on."""


def excerpt(ring: Ring, utterance: Utterance, before: int, after: int | None) -> bytes:
    """Return its mu-law; `before` is where the previous utterance ended, `after` where the next begins (or None)."""
    end = ring.end if utterance.end is None else min(utterance.end + TAIL, ring.end)
    if after is not None:
        end = max(utterance.end or after, min(end, after))
    silent = max(utterance.end or end, (utterance.silent_to or end) - SURE)
    if silent < end:  # the audio that follows may belong to the next word, which no result has yet
        end = silent + quietest(ring.read(silent, end))
    start = min(utterance.begin, max(before, utterance.begin - HEAD, ring.start))
    return ring.read(start, max(start, end))
