"""The alerts of the sinks fire when events do not arrive, in time, and at no other time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER
from support.telemetry.promql_values import Series, seconds, value

RULES = Path(__file__).parents[2] / "observability/prometheus/batkol.rules.yaml"
ALERTS = {rule["alert"]: rule for rule in yaml.load(RULES.read_text(), LOADER)["groups"][0]["rules"]}
SCRAPED_S, EVALUATED_S = 15, 15
KNOWN_S = 2 * 3600
"""In the first two hours of metrics nothing is known of the hour before the last one."""
SINKS = ("BatkolSinkBehind", "BatkolSinkDeadLetters", "BatkolSinkExpired", "BatkolSinkNotDrained")
Say = Callable[[float], float]


def fired(alert: str, series: Mapping[str, Series], until_s: float) -> list[int]:
    """When it fires, in seconds."""
    rule, since, found = ALERTS[alert], None, []
    for now in range(0, int(until_s), EVALUATED_S):
        since = None if value(rule["expr"], series, now) is None else now if since is None else since
        if since is not None and now - since >= seconds(rule.get("for", "0s")):
            found.append(now)
    return found


def holder(
    until_s: float,
    *,
    oldest: Say = lambda _: 0.0,
    dead: Say = lambda _: 0.0,
    expired: Say = lambda _: 0.0,
    draining: Say = lambda _: 1.0,
    begin_s: int = 0,
) -> dict[str, Series]:
    """What the pods say of one sink, the greatest of it at each scrape."""
    told = {"oldest_seconds": oldest, "dead_letters_total": dead, "expired": expired, "draining": draining}
    return {
        f"batkol_sink_{name}": [(float(at), float(say(at))) for at in range(begin_s, int(until_s), SCRAPED_S)]
        for name, say in told.items()
    }


def test_a_receiver_that_is_down_is_told_of_until_it_is_back() -> None:
    """Down at 600 s, back at 3000 s, and all has arrived a minute later."""
    series = holder(3600, oldest=lambda at: at - 600 if 600 <= at < 3060 else 0.0)
    when = fired("BatkolSinkBehind", series, 3600)

    assert 600 + 120 + 300 <= when[0] <= 600 + 120 + 300 + 2 * EVALUATED_S
    assert when[-1] < 3060
    assert fired("BatkolSinkNotDrained", series, 3600) == []


def test_a_receiver_that_is_slower_than_the_calls_is_told_of() -> None:
    assert fired("BatkolSinkBehind", holder(3600, oldest=lambda at: at / 4), 3600)


def test_dead_letters_are_told_of_for_an_hour() -> None:
    when = fired("BatkolSinkDeadLetters", holder(7200, dead=lambda at: 3.0 if at >= 1000 else 0.0), 7200)

    assert 1000 <= when[0] <= 1000 + SCRAPED_S + EVALUATED_S
    assert 1000 + 3500 <= when[-1] <= 1000 + 3600 + EVALUATED_S


def test_a_sink_that_no_pod_drains_is_told_of_though_nothing_is_known_of_its_events() -> None:
    series = holder(1800, draining=lambda at: float(at < 600))
    when = fired("BatkolSinkNotDrained", series, 1800)

    assert 600 + 300 <= when[0] <= 600 + 300 + SCRAPED_S + EVALUATED_S


def test_events_that_were_deleted_before_they_were_delivered_are_told_of_for_an_hour_after_the_last_one() -> None:
    """Some at 8000 s, some more at 9000 s; none was ever deleted before."""
    when = fired("BatkolSinkExpired", holder(16_000, expired=lambda at: 500.0 * ((at >= 8000) + (at >= 9000))), 16_000)

    assert 8000 <= when[0] <= 8000 + SCRAPED_S + EVALUATED_S
    assert 9000 + 3600 - EVALUATED_S <= when[-1] <= 9000 + 3600 + SCRAPED_S + EVALUATED_S
    assert len(when) == (when[-1] - when[0]) // EVALUATED_S + 1, "without a pause"


def test_more_of_them_are_told_of_although_some_were_deleted_long_ago() -> None:
    when = fired("BatkolSinkExpired", holder(16_000, expired=lambda at: 900.0 + (at >= 8000)), 16_000)

    assert 8000 <= next(at for at in when if at > KNOWN_S) <= 8000 + SCRAPED_S + EVALUATED_S


def test_events_that_are_deleted_as_the_service_starts_after_a_week_are_told_of() -> None:
    series = holder(12_000, begin_s=9000, expired=lambda at: 70.0 if at >= 9060 else 0.0)

    assert 9060 <= fired("BatkolSinkExpired", series, 12_000)[0] <= 9060 + SCRAPED_S + EVALUATED_S


WELL = {
    "nothing waits": holder(3600),
    "a retry of a minute now and then": holder(3600, oldest=lambda at: float(at % 600 // 8) if at % 600 < 480 else 0.0),
    "four minutes of catching up": holder(3600, oldest=lambda at: 3600.0 if 900 <= at < 1140 else 0.0),
    "the pod that has the lock drains, and another one takes over": holder(
        3600, draining=lambda at: float(not 900 <= at < 930)
    ),
    "the database is away for four minutes": holder(3600, draining=lambda at: float(not 900 <= at < 1140)),
    "old dead letters": holder(3600, dead=lambda _: 12.0),
    "half an hour without a pod, of a sink of which events were deleted long ago": holder(
        16_000, expired=lambda at: 0.0 if 9000 <= at < 10_800 else 12.0
    ),
}


@pytest.mark.parametrize("told", list(WELL))
def test_what_is_well_wakes_nobody(told: str) -> None:
    last = WELL[told]["batkol_sink_draining"][-1][0]
    for alert in SINKS:
        when = [at for at in fired(alert, WELL[told], last) if at > KNOWN_S or alert != "BatkolSinkExpired"]
        assert when == [], alert
