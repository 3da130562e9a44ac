"""The alerts on replies fire when callers hear apologies, parts fail or attempts are in vain, and at no other time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol.telemetry.reply_metrics import ReplyTimes
from support.chart.files import LOADER
from support.telemetry.promql_values import Series, value

RULES = Path(__file__).parents[2] / "observability/prometheus/batkol.rules.yaml"
ALERTS = {rule["alert"]: rule["expr"] for rule in yaml.load(RULES.read_text(), LOADER)["groups"][0]["rules"]}
MINUTE = 60.0
NOW = 20 * MINUTE


def pods(
    *, attempts: float = 10.0, failures: float = 0.0, answers: float = 10.0, apologies: float = 0.0
) -> dict[str, Series]:
    """What the pods count in a minute, for 20 minutes."""
    return counted(
        {
            "batkol_reply_attempts_total": attempts,
            "batkol_reply_failures_total": failures,
            'batkol_replies_total{kind="apology"}': apologies,
            'batkol_replies_total{kind=~"answer|apology"}': answers + apologies,
        }
    )


def fires(series: Mapping[str, Series], alert: str = "BatkolRepliesFail") -> bool:
    return value(ALERTS[alert], series, NOW) is not None


def counted(per_minute: Mapping[str, float]) -> dict[str, Series]:
    """Return what is counted at so many a minute."""
    return {
        name: [(float(at), each * at / MINUTE) for at in range(0, int(NOW) + 1, 15)]
        for name, each in per_minute.items()
    }


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


@pytest.mark.parametrize(
    ("dropped", "heard", "fired"),
    [(4, 10, False), (10, 10, False), (11, 10, True), (3, 0.1, False), (0, 0, False)],
    ids=["less than half", "as many as answers", "more than answers", "hardly a caller", "no caller"],
)
def test_attempts_in_vain_wake_people_where_they_are_more_than_the_answers(
    dropped: float, heard: float, *, fired: bool
) -> None:
    told = counted(
        {
            'batkol_reply_attempts_total{outcome="dropped"}': dropped,
            'batkol_reply_attempts_total{outcome="heard"}': heard,
        }
    )

    assert fires(told, "BatkolAttemptsWasted") is fired


@pytest.mark.parametrize(
    ("refused", "made", "fired"), [(0, 10, False), (2, 10, False), (3, 10, True), (1, 0, False), (600, 0, True)]
)
def test_a_budget_that_refuses_one_attempt_in_five_wakes_people(refused: float, made: float, *, fired: bool) -> None:
    told = counted(
        {
            "batkol_reply_speculation_refused_total": refused,
            'batkol_reply_attempts_total{speculative="true"}': made,
        }
    )

    assert fires(told, "BatkolSpeculationBudgetSpent") is fired


@pytest.mark.parametrize(
    ("failing", "calls", "fired"), [(0, 10, False), (2, 10, False), (3, 10, True), (0.1, 0.1, False), (1, 1, True)]
)
def test_a_tool_that_fails_one_call_in_five_wakes_people(failing: float, calls: float, *, fired: bool) -> None:
    told = counted({'batkol_tool_calls_total{outcome=~"failed|too_slow"}': failing, "batkol_tool_calls_total": calls})

    assert fires(told, "BatkolToolsFail") is fired


@pytest.mark.parametrize(
    ("spent", "calls", "fired"), [(0, 10, False), (0.1, 10, False), (0.3, 10, True), (0.03, 0.03, False), (1, 1, True)]
)
def test_budgets_that_end_one_call_in_fifty_wake_people(spent: float, calls: float, *, fired: bool) -> None:
    told = counted({'batkol_reply_budget_calls_total{used="spent"}': spent, "batkol_reply_budget_calls_total": calls})

    assert fires(told, "BatkolBudgetsEndCalls") is fired


@pytest.mark.parametrize(("given_up", "fired"), [(0, False), (0.05, True)])
def test_one_summary_that_is_given_up_wakes_people(given_up: float, *, fired: bool) -> None:
    assert fires(counted({'batkol_summaries_total{outcome="given_up"}': given_up}), "BatkolSummariesGivenUp") is fired
