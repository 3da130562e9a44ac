"""Backoff after a failure: 0.2 s, doubled each time up to 30 s, minus up to 25 % random jitter."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.2
LONGEST_S: Final = 30.0
JITTER: Final = 0.25
"""Share of a delay that is random: a thousand agents that failed together do not retry together."""


class ReconcileBackoff:
    """The delays after consecutive failures. Call `reset` after a success. `rng` returns a number in [0, 1)."""

    def __init__(self, rng: Callable[[], float] = random.random) -> None:
        self._rng = rng
        self.failures = 0

    def next(self) -> float:
        """Count one more failure; return the seconds to wait."""
        whole = min(FIRST_S * float(2**self.failures), LONGEST_S)
        self.failures = min(self.failures + 1, 32)
        return whole * (1 - JITTER * self._rng())

    def reset(self) -> None:
        """Start again from the first wait."""
        self.failures = 0
