"""A limit on log lines that strangers can cause: one a second for each reason, with the count of those left out."""

from __future__ import annotations

from typing import Final

INTERVAL_S: Final = 1.0


class LogLimit:
    """A pure machine: the caller brings the clock. Reasons are the program's own words, so there are few of them."""

    __slots__ = ("_interval", "_last", "_left_out")

    def __init__(self, interval: float = INTERVAL_S) -> None:
        self._interval = interval
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def admit(self, reason: str, now: float) -> int | None:
        """Return how many lines were left out since the last one, or None if this line is to be left out, too."""
        last = self._last.get(reason)
        if last is not None and now < last + self._interval:
            self._left_out[reason] = self._left_out.get(reason, 0) + 1
            return None
        self._last[reason] = now
        return self._left_out.pop(reason, 0)
