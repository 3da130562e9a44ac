"""Quiet places in audio: where to cut it, if it has to be cut, and whether its end is one."""

from __future__ import annotations

from typing import Final

import numpy as np

from batkol.audio import mulaw
from batkol.audio.level import window_levels
from batkol.audio.ring import Ring

WINDOW: Final = 160
"""Samples (20 ms) that have to be quiet."""

_STEP: Final = 40
_RECENT: Final = 50  # windows among which the loudest is looked for: a second
_END: Final = 5  # windows: 100 ms, longer than a consonant keeps the mouth shut
_LOUD: Final = 10 ** (-20 / 10)  # of the loudest window; the soft parts of a word are up to 19 dB below it


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


def is_loud(ring: Ring, until: int) -> bool:
    """Whether the audio before a sample ends in mid-word.

    That is: 20 of the last 100 ms are within 20 dB of the loudest of the last second.
    """
    count = min(_RECENT, max(0, until - ring.start) // WINDOW)
    levels = window_levels(ring.read(until - count * WINDOW, until), WINDOW)
    return count > _END and max(levels[-_END:]) > max(levels) * _LOUD
