"""The pace at which audio may be sent again: near real time, or Google takes it for a flood.

"Audio must be sent at a rate that approximates real time" (Google's quota page); replaying a call's last seconds in
one burst has earned RESOURCE_EXHAUSTED. A caller who speaks never notices this: he is slower than any rate above 1.
"""

from __future__ import annotations

import math
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE

BURST: Final = 2 * SAMPLE_RATE
"""Samples that may go out at once: what a hiccup of the network delays, and two of the longest batches."""

PIECE: Final = SAMPLE_RATE // 2
"""The longest message while audio is paced, in samples."""


class Pace:
    """The pace of one stream. `rate` is times real time (infinite: unpaced), `now` in seconds of one clock."""

    __slots__ = ("_at", "_rate", "_room")

    def __init__(self, *, rate: float, now: float) -> None:
        self._rate = rate * SAMPLE_RATE
        self._at = now
        self._room: float = BURST

    @property
    def longest(self) -> int | None:
        """The longest message in samples, or None where nothing is paced."""
        return None if math.isinf(self._rate) else PIECE

    def wait(self, samples: int, now: float) -> float:
        """Return how many seconds to wait before these samples go out; they count as sent."""
        if math.isinf(self._rate):
            return 0.0
        self._room = min(float(BURST), self._room + (now - self._at) * self._rate) - samples
        self._at = now
        return max(0.0, -self._room / self._rate)
