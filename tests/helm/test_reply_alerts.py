"""The alert on replies that fail fires when callers hear apologies or parts fail, and at no other time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol.telemetry.reply_metrics import ReplyTimes
from support.telemetry.promql_values import Series, value

RULES = Path(__file__).parents[2] / "observability/prometheus/batkol.rules.yaml"
ALERTS = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
MINUTE = 60.0
NOW = 20 * MINUTE


def pods(
    *, attempts: float = 10.0, failures: float = 0.0, answers: float = 10.0, apologies: float = 0.0
) -> dict[str, Series]:
    """What the pods count in a minute, for 20 minutes."""
    return {
        name: [(float(at), per_minute * at / MINUTE) for at in range(0, int(NOW) + 1, 15)]
        for name, per_minute in {
            "batkol_reply_attempts_total": attempts,
            "batkol_reply_failures_total": failures,
            'batkol_replies_total{kind="apology"}': apologies,
            'batkol_replies_total{kind=~"answer|apology"}': answers + apologies,
        }.items()
    }


def fires(series: Mapping[str, Series]) -> bool:
    return value(ALERTS["BatkolRepliesFail"], series, NOW) is not None


@pytest.mark.parametrize(
    ("told", "fired"),
    [
        (pods(), False),
        (pods(failures=0.5), False),
        (pods(failures=1.5), True),
        (pods(apologies=0.4), False),
        (pods(apologies=1.0), True),
        (pods(attempts=10.0, failures=10.0, answers=0.0), True),
        (pods(attempts=0.0, answers=0.0), False),
        (pods(attempts=0.1, failures=0.1, answers=0.0), False),
    ],
    ids=[
        "all is well",
        "one attempt in twenty fails",
        "three attempts in twenty fail",
        "one answer in twenty-six is an apology",
        "one answer in eleven is an apology",
        "everything fails, and no phrase is said",
        "no caller",
        "one attempt in ten minutes, which fails",
    ],
)
def test_failures_and_apologies_wake_people_where_they_are_many(told: Mapping[str, Series], *, fired: bool) -> None:
    assert fires(told) is fired


def test_the_limit_of_slow_replies_is_a_bound_of_the_histogram() -> None:
    """Else `histogram_quantile` would guess between two bounds around the limit."""
    assert "> 1.2\n" in ALERTS["BatkolRepliesSlow"]
    assert 1.2 in ReplyTimes(exemplars=False).latency.bounds
