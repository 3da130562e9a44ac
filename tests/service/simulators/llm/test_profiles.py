"""Published times to the first token, by name."""

from __future__ import annotations

import random
import statistics

import pytest

from batkol.errors import ConfigurationError
from batkol.simulators.llm.profiles import DEFAULT, PROFILES, Profile, profile


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_has_the_published_median_and_tail(name: str) -> None:
    draw = random.Random(1)
    times = sorted(profile(name).draw_s(draw) * 1000 for _ in range(4000))

    assert statistics.median(times) == pytest.approx(PROFILES[name].p50_ms, rel=0.06)
    assert times[3800] == pytest.approx(PROFILES[name].p95_ms, rel=0.12)


def test_one_seed_gives_one_series() -> None:
    series = [[profile("gpt-4.1").draw_s(random.Random(seed)) for _ in range(3)] for seed in (1, 1, 2)]

    assert series[0] == series[1] != series[2]


def test_a_fixed_time_and_a_models_own() -> None:
    assert profile("fixed:350").draw_s(random.Random()) == 0.35
    assert profile("", "openai/gpt-4.1") == PROFILES["gpt-4.1"]
    assert profile("", "anything") == DEFAULT
    assert profile("gpt-4o", "gpt-4.1") == Profile(546, 1369)


@pytest.mark.parametrize("name", ["gpt-1", "fixed:", "fixed:soon", "fixed:-1", "fixed:nan", "fixed:inf"])
def test_another_name_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"fixed:MILLISECONDS.*gpt-4\.1"):
        profile(name)
