"""The quietest place in a stretch of audio: where to cut it, if it has to be cut."""

from __future__ import annotations

from typing import Final

import numpy as np

from batkol.audio import mulaw
from batkol.audio.ring import Ring

WINDOW: Final = 160
"""Samples (20 ms) that have to be quiet."""

_STEP: Final = 40


def quiet_spot(ring: Ring, at: int, slack: int) -> int:
    """Return the place to begin instead of `at`, at most `slack` samples before it: half a word makes nonsense."""
    earliest = max(at - slack, ring.start)
    return at if earliest >= at else earliest + quietest(ring.read(earliest, at))


def quietest(audio: bytes) -> int:
    """Return the middle of the quietest 20 ms of some mu-law, of several the last one; its end if it is shorter."""
    if len(audio) < WINDOW:
        return len(audio)
    loudness = np.abs(mulaw.decode(audio).astype(np.int32)).cumsum()
    sums = np.concatenate([loudness[WINDOW - 1 : WINDOW], loudness[WINDOW:] - loudness[:-WINDOW]])[::-_STEP]
    return len(audio) - WINDOW // 2 - int(sums.argmin()) * _STEP
