"""The clock of a call's spans: one anchor of wall time at the call's start, and the loop's clock from there on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class CallClock:
    """Wall times in nanoseconds; a wall clock that is set in the middle of a call bends none.

    `since(sample)` returns how many seconds ago the caller spoke that sample.
    """

    __slots__ = ("_anchor", "_loop", "_since")

    def __init__(self, since: Callable[[int], float]) -> None:
        self._since = since
        self._loop = asyncio.get_running_loop()
        self._anchor = time.time_ns() - ns(self._loop.time())

    def now(self) -> int:
        """Return the wall time."""
        return self._anchor + ns(self._loop.time())

    def spoken(self, sample: int) -> int:
        """Return the wall time at which the caller spoke that sample."""
        return self.now() - ns(self._since(sample))


def ns(seconds: float) -> int:
    """Return whole nanoseconds."""
    return round(seconds * 1e9)
