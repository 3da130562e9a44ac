"""Backoff: the waits between attempts that fail. Pure: the caller counts the failures, waits, and may give the lot.

Each wait is `factor` times the one before, up to the longest, and has jitter: a random part of its upper half. What
failed together (calls, pods, tasks) does not come back together, and no wait is longer than the longest.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Uniform: TypeAlias = Callable[[], float]
"""Returns a random number in [0, 1)."""

JITTER: Final = 0.5
"""The share of a wait that is left to chance."""

_MOST_DOUBLED: Final = 64  # steps; a float has an end, and every longest wait is reached by then


def jittered(seconds: float, uniform: Uniform = random.random) -> float:
    """Return a wait of more than half of `seconds`, and of no more than `seconds`."""
    return seconds * (1 - JITTER * uniform())


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits of one kind of attempt. Times in seconds."""

    first_s: float
    longest_s: float
    factor: float = 2.0
    uniform: Uniform = random.random

    def wait_s(self, failures: int) -> float:
        """Return how long to wait after a failure that had so many before it in a row: 0 for the first one."""
        step = self.first_s * self.factor ** min(failures, _MOST_DOUBLED)
        return jittered(min(self.longest_s, step), self.uniform)
