"""What the dashboard, the alerts and the page about them name is what a running service exposes, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import Caller
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.voices.marked.voice import script
from support.chart.files import LOADER
from support.postgres.server import running_server
from support.service.stack import QUICK
from support.telemetry.promql import named
from support.telemetry.traces import traced

ROOT = Path(__file__).parents[2]
RULES = ROOT / "observability/prometheus/batkol.rules.yaml"
DASHBOARD = ROOT / "observability/grafana/batkol.json"
OF_THE_OPERATOR = (
    ROOT / "observability/prometheus/batkol-operator.rules.yaml",
    ROOT / "observability/grafana/batkol-operator.json",
)
PAGE, RUNBOOKS = ROOT / "docs/observability.md", ROOT / "docs/runbooks.md"
OF_PROMETHEUS = {"instance", "job", "namespace", "pod"}
CALLER, CALLED = "+972541234567", "+97231234567"
TWO: Final[dict[str, Any]] = {
    "answerers": '{"one": {"kind": "echo"}, "two": {"kind": "echo"}}',
    "answerer": "hedged",
    "answerer_first": "one",
    "answerer_second": "two",
    "answerer_then": "one",
    "voices": '{"other": {"kind": "builtin"}}',
    "voice_then": "other",
    "tools": '[{"name": "hang_up"}]',
    "summary_prompt": "סכם את השיחה",
    "reply_budget": '{"characters": 500}',
    "sinks": '{"crm": {"kind": "webhook", "url": "http://127.0.0.1:9/", "secretEnv": "CRM_SECRET"},'
    ' "bus": {"kind": "nats", "url": "nats://127.0.0.1:9", "events": [], "partials": true}}',
}
"""Answerers, voices and sinks of every kind, tools and summaries, which have metrics of their own."""
SPEECH = script([["שלום", "תודה", "בבקשה", "אני", "רוצה", "פגישה"]], tail_ms=1000)


class Exposed(NamedTuple):
    """What a service exposed after its calls: samples and families with their labels, and their types."""

    samples: dict[str, set[str]]
    families: dict[str, tuple[str, set[str]]]
    values: dict[tuple[str, str], set[str]]  # of each family and label
    store: dict[str, float]  # its samples
    budgets: dict[tuple[str, str], float]  # ended calls, by budget and share
    exemplars: list[tuple[str, str]]  # sample and trace
    traces: set[str]
    sids: list[str]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Exposed:
    """Of one service that keeps its calls in a real Postgres, for all tests."""
    live = tmp_path_factory.mktemp("live")
    with running_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        memory = live / "memory"
        memory.mkdir()
        keeps = {"store": "postgres", "database_url": server.url, "journal_dir": live / "journal"}
        return asyncio.run(_calls(live, server.address, {**keeps, "journal_memory_dir": memory}))


async def _calls(live: Path, where: Address, keeps: dict[str, Any]) -> Exposed:
    """Three calls: a good one, one whose stream dies, and one that no stream is opened for and no request answered."""
    sids: list[str] = []
    await migrate.upgrade(where)
    async with traced(live, speed=QUICK, double=DoubleSettings(final_latency_s=0.3), **TWO, **keeps) as here:
        up = here.up

        async def talk(caller: Caller) -> None:
            await caller.say(SPEECH.mulaw)
            await up.heard.has_finals(caller.plan.call_sid, 1)

        faults: tuple[list[Fault], ...] = (
            [],
            [Fault(kind=Kind.END, code="INTERNAL", when=Moment.AUDIO, seconds=1.0, streams=(1,))],
            [
                Fault(kind=Kind.END, code="PERMISSION_DENIED"),
                Fault(kind=Kind.END, code="PERMISSION_DENIED", surface=Surface.UNARY),
            ],
        )
        for each in faults:
            for fault in each:
                up.double.inject(fault)
            report = await up.call(script=talk, caller=CALLER, called=CALLED)
            sids.append(report.call_sid)
        async with httpx.AsyncClient(base_url=up.internal) as http:
            await http.post(f"{up.url}/twilio/voice", data={"CallSid": "CA" + "9" * 32})
            await _written(http)
            page = (await http.get("/metrics")).text
            accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
            rich = await http.get("/metrics", headers=accept)
        assert rich.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    return _read(page, rich.text, {root.trace_id for root in here.collector.named("utterance")}, sids)


async def _written(http: httpx.AsyncClient) -> None:
    """Wait until the database has the calls."""
    async with asyncio.timeout(60):
        while not (said := (await http.get("/v1/status")).json()["store"])["written"] or said["backlog"]["records"]:
            await asyncio.sleep(0.05)


def _read(page: str, rich: str, traces: set[str], sids: list[str]) -> Exposed:
    samples: dict[str, set[str]] = {}
    families: dict[str, tuple[str, set[str]]] = {}
    values: dict[tuple[str, str], set[str]] = {}
    for family in text_string_to_metric_families(page):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        _, own = families.setdefault(name, (family.type, set()))
        for sample in family.samples:
            labels = {label for label in sample.labels if not label.startswith("otel_scope_")}
            samples.setdefault(sample.name, set()).update(labels)
            own |= labels - {"le"}
            for label, value in sample.labels.items():
                values.setdefault((name, label), set()).add(value)
    exemplars = [
        (sample.name, sample.exemplar.labels["trace_id"])
        for family in openmetrics(rich)  # type: ignore[no-untyped-call]  # has no types
        for sample in family.samples
        if sample.exemplar
    ]
    store = {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.startswith("batkol_store_")
    }
    budgets = {
        (sample.labels["budget"], sample.labels["used"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "batkol_reply_budget_calls_total"
    }
    families.pop("target_info")  # of OpenTelemetry: the resource
    return Exposed(samples, families, values, store, budgets, exemplars, traces, sids)


def rules(path: Path = RULES, kind: str = "alert") -> list[dict[str, Any]]:
    """The alerts, or with `record` what is recorded for them."""
    groups = yaml.load(path.read_text(), LOADER)["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def panels(path: Path = DASHBOARD) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return found


def queries() -> Mapping[str, str]:
    told = {
        f"{panel['title']}: {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel.get("targets", [])
    }
    marks = {mark["name"]: mark["expr"] for mark in json.loads(DASHBOARD.read_text())["annotations"]["list"]}
    recorded = {rule["record"]: rule["expr"] for rule in rules(kind="record")}
    return told | marks | recorded | {rule["alert"]: rule["expr"] for rule in rules()}


def test_every_query_names_what_a_service_exposes(exposed: Exposed) -> None:
    assert len(queries()) > 40
    samples = exposed.samples | {rule["record"]: {"namespace", "job"} for rule in rules(kind="record")}
    for where, query in queries().items():
        selected, grouped = named(query.replace("$__rate_interval", "5m"))
        assert selected, where
        known = set(OF_PROMETHEUS)
        for metric, labels in selected:
            assert metric in samples, f"{where} asks for {metric}"
            assert labels <= samples[metric] | OF_PROMETHEUS, f"{where}: {metric} has no {labels}"
            known |= samples[metric]
        assert grouped <= known, f"{where} groups by {grouped - known}"


def test_every_metric_is_on_the_dashboard_or_in_an_alert(exposed: Exposed) -> None:
    asked = {
        metric for query in queries().values() for metric, _ in named(query.replace("$__rate_interval", "5m")).selected
    }
    bare = {re.sub("_(bucket|count|sum)$", "", metric) for metric in asked}

    assert set(exposed.families) - bare == set()


def test_the_table_of_the_page_is_what_a_service_exposes(exposed: Exposed) -> None:
    rows = re.findall(r"^\| `(batkol_\w+)` \| (\w+) \|(.*?)\|", PAGE.read_text(), re.MULTILINE)
    told = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}

    assert told == exposed.families
    assert len(rows) == len(told)


def test_no_series_is_of_one_call(exposed: Exposed) -> None:
    everything = " ".join(value for values in exposed.values.values() for value in values)
    for private in (*exposed.sids, CALLER[1:], CALLED[1:], "שלום"):
        assert private not in everything
    assert not re.search(r"\b(CA|MZ)[0-9a-f]{32}\b", everything)
    for (metric, label), values in exposed.values.items():
        assert label == "le" or len(values) < 40, f"{metric}, {label}: {values}"


def test_failures_were_counted_where_they_belong(exposed: Exposed) -> None:
    assert {"streaming", "single"} <= exposed.values["batkol_fallbacks_total", "step"]
    assert "permission_denied" in exposed.values["batkol_fallbacks_total", "reason"]
    assert "internal" in exposed.values["batkol_streams_reconnected_total", "reason"]
    assert "signature" in exposed.values["batkol_calls_refused_total", "reason"]
    assert "stop" in exposed.values["batkol_calls_ended_total", "reason"]


def test_what_the_store_does_is_counted(exposed: Exposed) -> None:
    """Of a service that keeps nothing there is no such metric: this one kept its calls."""
    assert sum(name.startswith("batkol_store_") for name in exposed.families) == 12
    assert exposed.store["batkol_store_written_total"] > 0
    assert exposed.store["batkol_store_refused_total"] == 0


def test_each_ended_call_is_counted_by_the_share_of_its_budget(exposed: Exposed) -> None:
    """These calls have one of characters, and no other."""
    assert len(exposed.budgets) == 12
    assert {of: count for of, count in exposed.budgets.items() if count} == {("characters", "under_half"): 3}


def test_exemplars_name_the_traces_of_utterances(exposed: Exposed) -> None:
    assert {name for name, _ in exposed.exemplars} == {
        "batkol_final_latency_seconds_bucket",
        "batkol_first_partial_latency_seconds_bucket",
    }
    assert {trace for _, trace in exposed.exemplars} <= exposed.traces


def test_every_alert_says_what_it_means_and_has_a_runbook() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL))
    everything = [*rules(), *rules(OF_THE_OPERATOR[0])]

    assert list(sections) == [rule["alert"] for rule in everything]
    for rule in everything:
        name, annotations = rule["alert"], rule["annotations"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert annotations["summary"]
        assert annotations["description"]
        assert annotations["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        for part in ("**What it means.**", "**Look at.**", "**Do.**"):
            assert part in sections[name], f"{name} lacks {part}"


def test_the_runbooks_name_panels_that_are_there() -> None:
    titles = " ".join(panel["title"] for panel in [*panels(), *panels(OF_THE_OPERATOR[1])])
    for told in re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", RUNBOOKS.read_text()):
        assert told in titles, told


@pytest.mark.parametrize("query", ['sum(rate(a_b{x="}"}[5m])) by (le)', 'sum by (le) (rate(a_b{x=~"$y"}[5m]))'])
def test_a_query_is_read_as_prometheus_reads_it(query: str) -> None:
    assert named(query) == ([("a_b", frozenset({"x"}))], frozenset({"le"}))


def test_what_is_no_metric_is_not_taken_for_one() -> None:
    assert named("a and on (x) b > 0.9 * c_total or max by (y) (d)") == (
        [("a", frozenset()), ("b", frozenset()), ("c_total", frozenset()), ("d", frozenset())],
        frozenset({"x", "y"}),
    )
