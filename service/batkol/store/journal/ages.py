"""Ages of the records that wait, as far as the age of the oldest one needs them."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

APART_S: Final = 0.1
"""Seconds between two marks at least: how exact an age is while few are kept."""

MOST: Final = 4096
"""Marks that are kept. Beyond that every second one goes, so that ages grow less exact, and memory does not grow."""


class Ages:
    """Numbers that rise, each with the time of its record. O(1) for a record, and bounded whatever waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers: list[int] = []
        self._times: list[float] = []
        self._apart_s = APART_S

    def note(self, number: int) -> None:
        """Record `number` is appended now."""
        now = self._clock()
        if self._times and now - self._times[-1] < self._apart_s:
            return
        self._numbers.append(number)
        self._times.append(now)
        if len(self._numbers) > MOST:
            self._numbers, self._times = self._numbers[::2], self._times[::2]
            self._apart_s *= 2

    def forget(self, number: int) -> None:
        """Nothing up to `number` waits any more."""
        gone = bisect_right(self._numbers, number + 1) - 1  # the mark at or before the next one stays: it is its time
        if gone > 0:
            del self._numbers[:gone], self._times[:gone]
        if not self._numbers or len(self._numbers) < MOST // 4:
            self._apart_s = APART_S

    def age_s(self, number: int) -> float:
        """Return the age of record `number`, in seconds; at most one mark too long. 0 for an unknown record."""
        at = bisect_right(self._numbers, number) - 1
        return max(0.0, self._clock() - self._times[max(at, 0)]) if self._times else 0.0
