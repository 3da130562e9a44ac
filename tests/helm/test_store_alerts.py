"""The alerts of the store fire when records wait and nothing is written, in time, and at no other time."""

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
MB = 1 << 20
LIMIT = 256 * MB
Say = Callable[[float], float]


def first_fired(alert: str, series: Mapping[str, Series], until_s: float) -> float | None:
    """When it fires first, in seconds; None if it does not."""
    rule = ALERTS[alert]
    since: float | None = None
    for now in range(0, int(until_s), EVALUATED_S):
        if value(rule["expr"], series, now) is None:
            since = None
            continue
        since = now if since is None else since
        if now - since >= seconds(rule.get("for", "0s")):
            return now
    return None


def pod(until_s: float, **of: Say) -> dict[str, Series]:
    """What a pod says of its store; what is not named is 0."""
    names = ("backlog", "backlog_age_seconds", "written_total", "retries_total", "journal_bytes")
    known: dict[str, Say] = {name: of.get(name, lambda _: 0.0) for name in names}
    known["journal_limit_bytes"] = lambda _: LIMIT
    return {
        f"batkol_store_{name}": [(float(at), float(say(at))) for at in range(0, int(until_s), SCRAPED_S)]
        for name, say in known.items()
    }


def after(begin: float, say: Say, before: Say | None = None) -> Say:
    return lambda at: say(at - begin) if at >= begin else before(at) if before else 0.0


DEAD = 600.0
"""When the writer stops, in these tests."""


def stopped(*, tries_every_s: float | None) -> dict[str, Series]:
    """A pod whose writer writes 2 records a second, and from `DEAD` on none: it tries so often, or is dead."""
    return pod(
        3600,
        backlog=after(DEAD, lambda s: 2 * s + 1),
        backlog_age_seconds=after(DEAD, lambda s: s),
        written_total=after(DEAD, lambda _: 2 * DEAD, lambda at: 2 * at),
        retries_total=after(DEAD, lambda s: s // tries_every_s if tries_every_s else 0),
        journal_bytes=after(DEAD, lambda s: 2 * 600 * s),
    )


@pytest.mark.parametrize("tries_every_s", [None, 10.0, 165.0])
def test_a_writer_that_writes_nothing_is_told_of_whether_it_tries_or_not(tries_every_s: float | None) -> None:
    fired = first_fired("BatkolNothingWritten", stopped(tries_every_s=tries_every_s), 3600)

    assert fired is not None
    assert DEAD + 120 < fired <= DEAD + 420


def test_a_writer_that_never_wrote_is_told_of() -> None:
    series = pod(1800, backlog=lambda _: 6.0)  # six wait, from the start; no age, no retry

    assert first_fired("BatkolNothingWritten", series, 1800) is not None


def test_it_is_told_of_though_the_container_restarts_all_the_time() -> None:
    series = pod(1800, backlog=lambda at: 6.0 + at // 60, written_total=after(300, lambda _: 0.0, lambda at: at))

    assert first_fired("BatkolNothingWritten", series, 1800) is not None


def test_the_older_alert_on_retries_says_nothing_of_a_dead_writer() -> None:
    assert first_fired("BatkolDatabaseAway", stopped(tries_every_s=None), 3600) is None
    assert first_fired("BatkolDatabaseAway", stopped(tries_every_s=10.0), 3600) is not None


WELL = {
    "no calls": pod(3600, written_total=lambda _: 5000.0),
    "a record now and then, written at once": pod(
        3600, written_total=lambda at: at // 900, backlog=lambda at: float(at % 900 == 0)
    ),
    "a backlog that is being written": pod(
        3600, written_total=lambda at: 20 * at, backlog=lambda at: max(0.0, 50_000 - 20 * at)
    ),
    "two minutes without the database": pod(3600, backlog=lambda at: 9.0 if 600 <= at < 720 else 0.0),
}


@pytest.mark.parametrize("told", list(WELL))
def test_what_is_well_wakes_nobody(told: str) -> None:
    for alert in ("BatkolNothingWritten", "BatkolJournalFullSoon"):
        assert first_fired(alert, WELL[told], 3600) is None, alert


@pytest.mark.parametrize("rate", [20_000.0, 60_000.0])
def test_a_journal_that_will_be_full_within_hours_is_told_of_long_before(rate: float) -> None:
    """At 20 kB/s a journal of 256 MiB is full after 3.7 h, at 60 kB/s after 1.2 h."""
    full_after_s = LIMIT / rate
    series = pod(
        DEAD + full_after_s,
        backlog=after(DEAD, lambda s: s + 1),
        backlog_age_seconds=after(DEAD, lambda s: s),
        journal_bytes=after(DEAD, lambda s: rate * s),
    )
    fired = first_fired("BatkolJournalFullSoon", series, DEAD + full_after_s)

    assert fired is not None
    assert fired < DEAD + 0.35 * full_after_s


def test_a_journal_that_would_be_full_in_days_is_not_told_of() -> None:
    series = pod(
        7200,
        backlog=after(DEAD, lambda s: s + 1),
        backlog_age_seconds=after(DEAD, lambda s: s),
        journal_bytes=after(DEAD, lambda s: 600 * s),
    )

    assert first_fired("BatkolJournalFullSoon", series, 7200) is None


def test_a_journal_that_grows_and_is_emptied_all_the_time_is_not_told_of() -> None:
    series = pod(7200, written_total=lambda at: 30.0 * at, journal_bytes=lambda at: 20_000.0 * (at % 400))

    assert first_fired("BatkolJournalFullSoon", series, 7200) is None


def test_the_page_of_the_runbook_has_the_figures_of_the_alert() -> None:
    assert "4 * 3600" in ALERTS["BatkolJournalFullSoon"]["expr"]
    assert ALERTS["BatkolNothingWritten"]["labels"]["severity"] == "critical"
