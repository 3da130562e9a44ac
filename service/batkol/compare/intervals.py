"""Confidence intervals by bootstrap: how far a rate may be off because these calls were compared and not others.

What is drawn again is a group: a call, or a sample that names no call. Words of one call resemble each other, so
drawing words would make the intervals too narrow. (Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR
performance evaluation", 2004.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

DRAWS: Final = 10_000
FEWEST_GROUPS: Final = 10
"""Groups from which an interval says something: with fewer it is too narrow."""
CONFIDENCE: Final = 0.95

_AT_ONCE: Final = 1 << 22
"""Numbers in memory at once: 32 MB."""


class Interval(NamedTuple):
    """The bounds between which the true value lies with the confidence asked for."""

    low: float
    high: float


class GroupErrors(NamedTuple):
    """The errors of one group, and the words that were said in it."""

    errors: int
    words: int


def rate_interval(groups: Sequence[GroupErrors], *, seed: int = 0, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the interval of errors by words; None for fewer than `FEWEST_GROUPS`, or without words."""
    errors = np.array([group.errors for group in groups], dtype=np.int64)
    return _interval(errors, groups, seed=seed, confidence=confidence)


def difference_interval(
    one: Sequence[GroupErrors], other: Sequence[GroupErrors], *, seed: int = 0, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return the interval of one rate less the other, of the same groups in the same order; None as above.

    Each draw takes the same groups of both: what makes a call hard for both of them cancels out.
    """
    errors = np.array([mine.errors - its.errors for mine, its in zip(one, other, strict=True)], dtype=np.int64)
    return _interval(errors, one, seed=seed, confidence=confidence)


def _interval(
    errors: npt.NDArray[np.int64], groups: Sequence[GroupErrors], *, seed: int, confidence: float
) -> Interval | None:
    said = np.array([group.words for group in groups], dtype=np.int64)
    if len(groups) < FEWEST_GROUPS or not said.sum():
        return None
    draw = np.random.default_rng(seed)
    equal = np.full(len(groups), 1 / len(groups))
    rates: list[npt.NDArray[np.float64]] = []
    at_once = max(1, _AT_ONCE // len(groups))
    for done in range(0, DRAWS, at_once):
        times = draw.multinomial(len(groups), equal, size=min(at_once, DRAWS - done))
        rates.append((times @ errors) / np.maximum(1, times @ said))
    outside = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(rates), [outside, 1 - outside])
    return Interval(float(low), float(high))
