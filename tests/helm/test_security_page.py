"""SECURITY.md speaks of things that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol.settings import Settings
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.crd import crd

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", PAGE)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("target", "anchor"), LINKS, ids="#".join)
def test_every_link_leads_somewhere(target: str, anchor: str) -> None:
    page = ROOT / (target or "SECURITY.md")

    assert page.is_file()
    assert not anchor or anchor in anchors(page)


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", PAGE))

    assert {"INTERNAL_HOSTS", "API_TOKEN", "TWILIO_VALIDATE_SIGNATURES"} <= named
    assert {name for name in named if name.lower() not in Settings.model_fields} == set()


def test_every_field_that_names_a_secret_is_listed() -> None:
    schema = VoiceAgent.model_json_schema(by_alias=True)
    naming = {
        name
        for part in schema["$defs"].values()
        for name, field in part.get("properties", {}).items()
        if "SecretKey" in str(field)
    }

    assert naming
    assert {name for name in naming if f"`{name}`" not in PAGE} == set()


def roles() -> list[dict[str, Any]]:
    return [role for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) for role in yaml.safe_load_all(block)]


def test_the_roles_are_about_what_the_definition_has() -> None:
    spec = crd()["spec"]
    plural = spec["names"]["plural"]
    there = {plural} | {f"{plural}/{name}" for version in spec["versions"] for name in version["subresources"]}

    assert [role["metadata"]["name"] for role in roles()] == [
        "voiceagent-writer",
        "voiceagent-scaler",
        "voiceagent-reader",
    ]
    for role in roles():
        for rule in role["rules"]:
            assert rule["apiGroups"] == [spec["group"]]
            assert set(rule["resources"]) <= there
