"""The process's clocks, as one thing that is given to what reads them: a test gives it clocks of its own.

And durations as they are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple


class Clock(NamedTuple):
    """Two clocks, in seconds. A duration comes from `monotonic`, never from `wall`, which may jump."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    """Unix time."""


REAL: Final = Clock()


def in_ms(seconds: float) -> float:
    """Return a duration in milliseconds, as events, snapshots and spans have it."""
    return round(seconds * 1000, 1)
