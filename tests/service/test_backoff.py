"""The waits after failures: their bounds, their growth, and their jitter."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.backoff import JITTER, Backoff, jittered

LONGEST = Backoff(first_s=0.1, longest_s=10.0, uniform=lambda: 0.0)


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    assert [LONGEST.wait_s(failures) for failures in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_another_factor_is_kept_to() -> None:
    steady = Backoff(first_s=1.0, longest_s=100.0, factor=3.0, uniform=lambda: 0.0)

    assert [steady.wait_s(failures) for failures in range(4)] == [1.0, 3.0, 9.0, 27.0]


@pytest.mark.parametrize(("drawn", "wait"), [(0.0, 8.0), (0.5, 6.0), (0.75, 5.0)])
def test_jitter_takes_up_to_half_of_a_wait(drawn: float, wait: float) -> None:
    assert jittered(8.0, lambda: drawn) == wait


@given(st.integers(0, 100_000), st.integers(0), st.sampled_from([0.001, 0.1, 5.0]), st.sampled_from([1.0, 2.0, 10.0]))
def test_no_wait_is_longer_than_the_longest_or_shorter_than_half_of_the_first(
    failures: int, seed: int, first_s: float, factor: float
) -> None:
    backoff = Backoff(first_s=first_s, longest_s=30.0, factor=factor, uniform=random.Random(seed).random)

    assert first_s * (1 - JITTER) < backoff.wait_s(failures) <= 30.0


def test_what_failed_together_comes_back_spread_evenly_over_half_of_the_wait() -> None:
    backoff = Backoff(first_s=1.0, longest_s=8.0, uniform=random.Random(20261128).random)
    waits = sorted(backoff.wait_s(3) for _ in range(1000))

    assert 4.0 < waits[0] < 4.1
    assert 7.9 < waits[-1] <= 8.0
    assert sum(waits) / len(waits) == pytest.approx(6.0, abs=0.1)
    assert max(later - earlier for earlier, later in pairwise(waits)) < 0.1


def test_the_same_seed_gives_the_same_waits() -> None:
    one, other = (Backoff(first_s=1.0, longest_s=8.0, uniform=random.Random(7).random) for _ in range(2))

    assert [one.wait_s(failures) for failures in range(5)] == [other.wait_s(failures) for failures in range(5)]


def test_without_a_lot_of_its_own_no_two_waits_are_alike() -> None:
    assert len({Backoff(first_s=1.0, longest_s=1.0).wait_s(0) for _ in range(50)}) > 45
