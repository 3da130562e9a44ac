"""The budget of speculative attempts of one process: each costs a request that may be thrown away."""

from __future__ import annotations


class SpeculationBudget:
    """`per_minute` attempts, of which as many may come at once. `now` in seconds of one clock."""

    __slots__ = ("_at", "_left", "_per_minute", "refused")

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._at = 0.0
        self.refused = 0
        """Attempts that waited for the end of speech because the budget was spent."""

    def spend(self, now: float) -> bool:
        """Take one attempt out of the budget; false if there is none left."""
        earned = max(0.0, now - self._at) * self._per_minute / 60
        self._left, self._at = min(self._left + earned, float(self._per_minute)), now
        if self._left < 1:
            self.refused += 1
            return False
        self._left -= 1
        return True
