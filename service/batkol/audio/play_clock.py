"""The clock of sound that was written: which sample is played when, and which one was played at any moment.

Outbound audio time is the index of a sample over all sound that was written to one media stream. Sound that is written
while earlier sound is still played follows it without a gap. Sound that is written later begins a new run. The clock
assumes that written sound is played at once; `batkol.audio.path` knows by how much the ear is later.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE

HORIZON_S: Final = 10.0
"""Seconds for which the clock knows the past; no path is as long."""

_ROUNDING: Final = 0.01  # samples; seconds are floats


@dataclass(slots=True)
class _Run:
    """Samples [first, end) that are played without a gap from `begins_at` on."""

    begins_at: float
    first: int
    end: int

    @property
    def ends_at(self) -> float:
        return self.begins_at + (self.end - self.first) / SAMPLE_RATE


class PlayClock:
    """The play times of one stream's sound. Times are seconds of one clock that never goes back."""

    __slots__ = ("_runs", "end", "ends_at")

    def __init__(self) -> None:
        self._runs: deque[_Run] = deque()
        self.end = 0
        """The index after the last sample that was written."""
        self.ends_at = -math.inf
        """Time at which the last sample has been played; minus infinity before the first one."""

    def append(self, samples: int, now: float, buffer_s: float = 0.0) -> None:
        """Note that so many samples were written now.

        A peer that is late by a buffer still plays the sound before, for that long: then there is no gap.
        """
        first, self.end = self.end, self.end + samples
        if now <= self.ends_at + buffer_s and self._runs[-1].end == first:
            run = self._runs[-1]
            run.end = self.end
            self.ends_at = run.ends_at
            return
        while len(self._runs) > 1 and self._runs[1].begins_at < now - HORIZON_S:
            self._runs.popleft()
        self._runs.append(_Run(now, first, self.end))
        self.ends_at = now + samples / SAMPLE_RATE

    def at(self, when: float) -> int:
        """Return how far the sound had been played at that moment: an index, exact within the horizon."""
        for run in reversed(self._runs):
            if run.begins_at <= when:
                return min(run.end, run.first + int((when - run.begins_at) * SAMPLE_RATE + _ROUNDING))
        return self._runs[0].first if self._runs else 0

    def when(self, position: int) -> float | None:
        """Return when the last sample before `position` has been played; None if it is not written.

        Minus infinity for what was played before the horizon. What a stop left out counts as played at the stop.
        """
        if position > self.end:
            return None
        for run in reversed(self._runs):
            if run.first < position:
                return run.begins_at + (min(position, run.end) - run.first) / SAMPLE_RATE
        return -math.inf

    def stop(self, position: int) -> None:
        """Note that nothing after `position` is played. What was written keeps its index."""
        while len(self._runs) > 1 and self._runs[-1].first >= position:
            self._runs.pop()
        if self._runs:
            last = self._runs[-1]
            last.end = min(last.end, max(last.first, position))
            self.ends_at = last.ends_at

    def skip(self, samples: int) -> None:
        """Note that so many samples were written and are not played."""
        self.end += samples
