"""Lateness of the event loop: the worst of the last minute, and the stalls that deserve a log line."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 60.0

STALL_S: Final = 0.5
"""A loop that was this late has held up every call: partials came late, and audio waited in its sockets."""

QUIET_S: Final = 10.0
"""Least time between two lines about stalls; those in between are counted, unless one is twice as long."""


class LoopLag:
    """Fed with each timer's lateness, in seconds, and `now`, of any monotonic clock."""

    def __init__(self) -> None:
        self._worst: deque[tuple[float, float]] = deque()  # (when, how late): later ones are smaller
        self._logged_at = float("-inf")
        self._logged_s = 0.0  # seconds of the stall that was logged last
        self._unlogged = 0
        self.stalls = 0
        """Stalls since the start."""

    def record(self, late: float, now: float) -> int:
        """Record a measurement; return the number of stalls to log now, this one included: mostly 0."""
        while self._worst and self._worst[-1][1] <= late:
            self._worst.pop()
        self._worst.append((now, late))
        self._forget(now)
        if late < STALL_S:
            return 0
        self.stalls += 1
        self._unlogged += 1
        if now - self._logged_at < QUIET_S and late < 2 * self._logged_s:
            return 0
        self._logged_at, self._logged_s = now, late
        stalls, self._unlogged = self._unlogged, 0
        return stalls

    def worst(self, now: float) -> float:
        """Return the longest lateness of the last minute, in seconds."""
        self._forget(now)
        return self._worst[0][1] if self._worst else 0.0

    def _forget(self, now: float) -> None:
        while self._worst and self._worst[0][0] <= now - WINDOW_S:
            self._worst.popleft()
