"""The runbooks name what there is: panels of the dashboards, and fields of a VoiceAgent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.kube.client import _TRANSIENT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")

NO_KINDS = {"integer"}
"""Of columns of `kubectl get`."""


def test_every_panel_that_a_runbook_names_is_on_a_dashboard() -> None:
    slanted = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", " ".join(PAGE.split())))
    dashboards = [json.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("observability/grafana/*.json")]
    titles = {panel["title"] for dashboard in dashboards for panel in dashboard["panels"]}

    assert len(slanted) > 20
    assert slanted - titles == set()


def test_every_kind_of_error_that_the_operator_counts_has_its_cause() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "operator").rglob("*.py"))
    counted = set(re.findall(r'(?:_failed\(|errors\.labels\(|^ +kind=)"([a-z]+)"', sources, re.MULTILINE))
    section = PAGE.partition("## BatkolReconcileErrors\n")[2].partition("\n## ")[0]
    told = {kind for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for kind in re.findall(r"`(\w+)`", row)}

    assert counted - NO_KINDS | set(_TRANSIENT.values()) == told


def test_every_setting_that_a_runbook_changes_is_a_field_of_a_voice_agent() -> None:
    definition = yaml.safe_load((ROOT / "helm/batkol/files/crds/voiceagents.yaml").read_text(encoding="utf-8"))
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    table = PAGE.partition("## Where to change a setting")[2].partition("\n## ")[0]
    of_the_table = re.findall(
        r"`([a-z]\w*(?:\.\w+)*)", "\n".join(re.findall(r"^\|[^|]*`[^|]*\|([^|]*)\|", table, re.MULTILINE))
    )
    of_tuning = [
        name.replace("turns.", "reply.turns.")
        for name in re.findall(r"`((?:recognition|endpointing|turns)\.\w+)`", PAGE)
    ]

    assert len(of_the_table) > 10
    assert len(of_tuning) > 4
    assert [name for name in of_the_table + of_tuning if not _is_in(spec, name.split("."))] == []
    assert re.findall(r"`(?!batkol)[a-z_]+_ms`[^.]* in `tuning\.json`", PAGE) == []


def _is_in(schema: Any, path: list[str]) -> bool:
    return not path or (path[0] in schema.get("properties", {}) and _is_in(schema["properties"][path[0]], path[1:]))
