"""The operator's dashboard and alerts ask for what the operator exposes, and for all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml  # type: ignore[import-untyped]  # has no types
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from batkol_operator.metrics import OperatorMetrics
from batkol_operator.status.judge import PAUSED, READY, READY_WITH_WARNINGS
from support.chart.files import LOADER
from support.telemetry.promql import named

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "observability/grafana/batkol-operator.json").read_text())
(GROUP,) = yaml.load((ROOT / "observability/prometheus/batkol-operator.rules.yaml").read_text(), LOADER)["groups"]
RULES = GROUP["rules"]
OF_PROMETHEUS = {"namespace", "instance", "job", "le"}
OF_THE_PODS = {"batkol_calls_limit": {"namespace"}}  # to see whether they are scraped at all


def exposed() -> dict[str, set[str]]:
    """Return the samples of an operator that has done something, with their labels."""
    metrics = OperatorMetrics()
    metrics.set_agent(("voice", "reception"), reason="Ready", pods=2, in_sync=1, calls=3, scales=True)
    metrics.reconciles.labels("settled").inc()
    metrics.errors.labels("conflict").inc()
    metrics.requests.labels("apply").inc()
    metrics.contests.labels("Service").inc()
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def queries() -> dict[str, str]:
    told = {
        f"{panel['title']}: {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    }
    return told | {rule["alert"]: rule["expr"] for rule in RULES}


def test_every_query_names_what_the_operator_exposes() -> None:
    samples = exposed() | OF_THE_PODS
    for where, query in queries().items():
        selected, grouped = named(query.replace("$__rate_interval", "5m"))
        assert selected, where
        known = set(OF_PROMETHEUS)
        for metric, labels in selected:
            assert metric in samples, f"{where} asks for {metric}"
            assert labels <= samples[metric] | OF_PROMETHEUS, where
            known |= samples[metric]
        assert grouped <= known, where


def test_every_metric_of_ours_is_asked_for() -> None:
    selected = [named(query.replace("$__rate_interval", "5m")).selected for query in queries().values()]
    asked = {_family(metric) for each in selected for metric, _ in each if metric.startswith("batkol_operator_")}
    ours = {_family(name) for name in exposed() if name.startswith("batkol_") and not name.endswith("_created")}

    assert ours == asked


def _family(metric: str) -> str:
    return re.sub("_(bucket|count|sum)$", "", metric)


def test_agents_that_are_well_or_left_alone_wake_nobody() -> None:
    (rule,) = [rule for rule in RULES if rule["alert"] == "BatkolAgentsNotReady"]

    assert f'reason!~"{READY}|{READY_WITH_WARNINGS}|{PAUSED}"' in rule["expr"]


def test_panels_neither_overlap_nor_share_an_id() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]

    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
