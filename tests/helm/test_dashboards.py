"""Each dashboard begins with an overview, tells agents apart, and says what each panel shows and where to read on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.telemetry.promql import named

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "observability/grafana"
WIDTH = 24
SELECTED = {"batkol": {"namespace", "job", "instance"}, "batkol-operator": {"instance"}}
"""The labels by which every query selects, each by the variable of that name."""
OF_AN_AGENT = {"agent_namespace": "namespace", "agent": "agent"}
"""Further labels of the operator's metrics of one agent, with their variables."""
MARKED = {"batkol": ["New pods", "Flags", "Tuning"], "batkol-operator": ["New operator"]}
OF_THE_RULES = "batkol:"
"""What they record has no pod any more."""


class Dashboard(NamedTuple):
    name: str
    content: dict[str, Any]

    @property
    def panels(self) -> list[dict[str, Any]]:
        return [panel for panel in self.content["panels"] if panel["type"] != "row"]


@pytest.fixture(params=sorted(SELECTED))
def dashboard(request: pytest.FixtureRequest) -> Dashboard:
    return Dashboard(request.param, json.loads((FOLDER / f"{request.param}.json").read_text()))


def test_every_panel_says_what_it_shows_in_which_unit_and_where_to_read_on(dashboard: Dashboard) -> None:
    pages = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
    lacking = []
    for panel in dashboard.panels:
        (link,) = panel["links"]
        page, _, section = link["url"].removeprefix("${docs}/").partition("#")
        sections = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in _titles(pages[page])}
        if not panel["description"].endswith(".") or section not in sections:
            lacking.append(panel["title"])
        if panel["type"] != "table" and "unit" not in panel["fieldConfig"]["defaults"]:
            lacking.append(f"{panel['title']}: unit")

    assert lacking == []


def _titles(page: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", page, re.MULTILINE)


def test_a_panel_that_a_runbook_names_leads_to_a_runbook_that_names_it(dashboard: Dashboard) -> None:
    sections = re.split(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), flags=re.MULTILINE)[1:]
    naming = {
        panel["title"]: {
            name.lower()
            for name, text in zip(sections[::2], sections[1::2], strict=True)
            if f"*{panel['title']}*" in text
        }
        for panel in dashboard.panels
    }

    assert any(naming.values())
    for panel in dashboard.panels:
        if runbooks := naming[panel["title"]]:
            assert panel["links"][0]["url"].partition("#")[2] in runbooks, panel["title"]


def test_every_query_selects_by_every_variable(dashboard: Dashboard) -> None:
    variables = {each["name"] for each in dashboard.content["templating"]["list"]}
    marks = [mark["expr"] for mark in dashboard.content["annotations"]["list"]]
    asked = marks + [target["expr"] for panel in dashboard.panels for target in panel["targets"]]

    further = OF_AN_AGENT if dashboard.name == "batkol-operator" else {}
    assert SELECTED[dashboard.name] | set(further.values()) | {"datasource", "docs"} == variables
    for query in asked:
        for metric, labels in named(re.sub(r"\$__\w+", "5m", query)).selected:
            if not metric.startswith((OF_THE_RULES, "process_")) and "and on (instance)" not in query:
                agents = OF_AN_AGENT.keys() if metric.startswith("batkol_operator_agent_") else set()
                assert labels >= SELECTED[dashboard.name] | agents, query


def test_it_begins_with_an_overview_whose_figures_have_thresholds(dashboard: Dashboard) -> None:
    first, *others = dashboard.content["panels"]
    overview = others[: next(n for n, panel in enumerate(others) if panel["type"] == "row")]
    figures = [panel for panel in overview if panel["type"] == "stat"]

    assert first["title"] == "Overview"
    assert len(figures) >= 6
    for panel in figures:
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        values = [step["value"] for step in steps[1:]]
        assert values == sorted(values), panel["title"]


def test_panels_neither_overlap_nor_share_an_id(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.content["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= WIDTH
        taken |= cells

    ids = [panel["id"] for panel in dashboard.content["panels"]]
    assert len(set(ids)) == len(ids)


def test_new_pods_flips_of_flags_and_changes_of_the_tuning_are_marked(dashboard: Dashboard) -> None:
    marks = dashboard.content["annotations"]["list"]

    assert [mark["name"] for mark in marks] == MARKED[dashboard.name]
    assert all(mark["enable"] for mark in marks)
