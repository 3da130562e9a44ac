import random

import pytest

from batkol.compare.intervals import FEWEST_GROUPS, GroupErrors, difference_interval, rate_interval


def drawn(rate: float, *, groups: int = 60, words: int = 40, seed: int = 1) -> list[GroupErrors]:
    draw = random.Random(seed)
    return [GroupErrors(sum(draw.random() < rate for _ in range(words)), words) for _ in range(groups)]


def test_the_interval_of_a_rate_has_the_width_that_independent_words_give() -> None:
    interval = rate_interval(drawn(0.2))

    assert interval is not None
    expected = 1.96 * (0.2 * 0.8 / (60 * 40)) ** 0.5
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.25)
    assert rate_interval(drawn(0.2)) == interval, "the same draws, the same interval"


def test_most_intervals_have_the_true_rate_in_them() -> None:
    found = [rate_interval(drawn(0.15, groups=30, words=20, seed=seed)) for seed in range(40)]

    assert sum(each is not None and each.low <= 0.15 <= each.high for each in found) >= 34


def test_a_difference_is_found_that_calls_of_different_difficulty_would_hide() -> None:
    hard = [GroupErrors(5 + 3 * (number % 10), 50) for number in range(40)]
    harder = [GroupErrors(group.errors + 1, 50) for group in hard]

    paired = difference_interval(hard, harder)
    one, other = rate_interval(hard), rate_interval(harder)
    assert paired is not None
    assert one is not None
    assert other is not None
    assert paired.low == paired.high == pytest.approx(-0.02)
    assert one.high > other.low, "which the two intervals do not show"


def test_two_that_differ_by_chance_alone_are_not_told_apart() -> None:
    interval = difference_interval(drawn(0.2, seed=3), drawn(0.2, seed=4))

    assert interval is not None
    assert interval.low < 0 < interval.high


@pytest.mark.parametrize("groups", [0, 1, FEWEST_GROUPS - 1])
def test_too_few_calls_have_no_interval(groups: int) -> None:
    assert rate_interval(drawn(0.2, groups=groups)) is None
    assert difference_interval(drawn(0.2, groups=groups), drawn(0.3, groups=groups)) is None
