"""What asks for a metric that has a series for each streaming recognizer adds these up, or names the recognizer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/observability.md"
_AGGREGATE = re.compile(r"\b(?:sum|max|min|avg|count)(?: by \([\w, ]*\))? ?$")
BY_RECOGNIZER: Final = "BatkolRecognizerStreamsNearLimit"
"""The alert of one recognizer, whose name its series and its text have."""


def labelled() -> list[str]:
    """The metrics with the label, as the page has them."""
    rows = re.findall(r"^\| `(batkol_\w+)` \| \w+ \|(.*?)\|", PAGE.read_text(), re.MULTILINE)
    return [name for name, labels in rows if "`recognizer`" in labels]


def queries() -> dict[str, str]:
    """Every query of rules and dashboards, by where it is."""
    found: dict[str, str] = {}
    for path in (ROOT / "observability/prometheus").glob("*.rules.yaml"):
        for group in yaml.load(path.read_text(), LOADER)["groups"]:
            found |= {rule.get("alert", rule.get("record")): rule["expr"] for rule in group["rules"]}
    for path in (ROOT / "observability/grafana").glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                found[f"{panel['title']}: {target['refId']}"] = target["expr"]
    return found


def bare(query: str, metrics: list[str]) -> list[str]:
    """Return those of the metrics that the query names outside of every aggregation."""
    found = []
    for match in re.finditer(r"\bbatkol_\w+", query):
        metric = re.sub("_(bucket|count|sum)$", "", match.group())
        before = query[: match.start()]
        depth, around = 0, []
        for at in range(len(before) - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(before[at], 0)
            if depth < 0:
                around.append(before[:at])
                depth = 0
        if metric in metrics and not any(_AGGREGATE.search(each) for each in around):
            found.append(metric)
    return found


def test_every_query_adds_the_series_of_recognizers_up() -> None:
    metrics, asked = labelled(), queries()

    assert {"batkol_final_latency_seconds", "batkol_partials_total", "batkol_fallbacks_total"} <= set(metrics)
    assert len(asked) > 100
    found = {where: set(bare(query, metrics)) for where, query in asked.items() if bare(query, metrics)}
    assert found == {BY_RECOGNIZER: {"batkol_recognizer_streams", "batkol_recognizer_streams_limit"}}


def test_quantiles_of_one_recognizer_are_on_the_dashboard() -> None:
    """So that two recognizers under the flag can be compared while calls are up."""
    shown = {where: query for where, query in queries().items() if "sum by (le, recognizer)" in query}

    assert {f"Final latency, by recognizer (p50, p95): {each}" for each in "AB"} <= set(shown)
    assert all("batkol_final_latency_seconds_bucket" in q for w, q in shown.items() if w.startswith("Final latency"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sum(rate(batkol_a_bucket[5m]))", []),
        ("histogram_quantile(0.9, sum by (le, pod) (rate(batkol_a_bucket[5m])))", []),
        ("histogram_quantile(0.9, rate(batkol_a_bucket[5m]))", ["batkol_a"]),
        ("sum(rate(batkol_b[5m])) / rate(batkol_a_count[5m])", ["batkol_a"]),
        ("rate(batkol_b[5m])", []),
    ],
)
def test_a_metric_outside_of_an_aggregation_is_found(query: str, found: list[str]) -> None:
    assert bare(query, ["batkol_a"]) == found
