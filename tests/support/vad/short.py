"""The length of a short sound as a detector hears it, and the time until speech is known to last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from batkol.audio.mulaw import SAMPLES_PER_MS
from support.speech.clip import Clip, Signal
from support.vad.scenes import Scene, scene
from support.vad.segments import Segment, segment_of

APART_MS: Final = (1200.0, 2500.0)


def apart(clips: Sequence[Clip]) -> Scene:
    """Return a call with silence of 1.2 to 2.5 s between the clips; the same each time."""
    return scene(clips, np.random.default_rng(1), APART_MS)


def heard_ms(call: Scene, found: Sequence[Segment]) -> Signal:
    """Return for how many ms each clip of a call was heard, of those that were heard at all."""
    mine = (segment_of(span, found) for span in call.spans)
    return np.array([segment.ms for segment in mine if segment is not None])


def reaching(heard: Signal, ms: float) -> int:
    """Return how many sounds were heard for so long."""
    return int(np.sum(heard >= ms))


def known_after(call: Scene, found: Sequence[Segment], lasting_ms: float) -> tuple[Signal, int]:
    """Return after how many ms of audio each utterance of a call is known to last so long, and how many never are.

    They are counted from the true beginning, in the audio time that a detector needs: what it takes to compute, and
    until it is asked, comes on top.
    """
    mine = [(span[0], segment_of(span, found)) for span in call.spans]
    known = [(begin, segment.lasts(lasting_ms)) for begin, segment in mine if segment is not None]
    late = [(at - begin) / SAMPLES_PER_MS for begin, at in known if at is not None]
    return np.array(late), len(call.spans) - len(late)
