"""skaffold.yaml names what is there. Whether it is one by its published schema, `make e2e` says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support.chart.files import CHART, ROOT, load, schema
from support.chart.skaffold import EVERY, PROFILES, active


def release(name: str) -> Any:
    (only,) = active(name)["deploy"]["helm"]["releases"]
    return only


def test_the_profiles_are_those_of_the_documentation() -> None:
    assert set(PROFILES) == {"dev", "kind", "prod"}


@pytest.mark.parametrize("name", EVERY)
def test_it_builds_targets_that_are_there_for_images_that_the_chart_installs(name: str) -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    artifacts = active(name)["build"]["artifacts"]
    values = load("values.yaml")

    assert [each["image"] for each in artifacts] == [values[key]["repository"] for key in ("image", "serviceImage")]
    assert {each["docker"]["target"] for each in artifacts} <= targets


@pytest.mark.parametrize("name", EVERY)
def test_it_installs_the_chart_with_values_that_the_chart_knows(name: str) -> None:
    found = release(name)
    assert (ROOT / found["chartPath"]).resolve() == CHART
    for file in found.get("valuesFiles", []):
        assert (ROOT / file).is_file()
    for path in {**found["setValueTemplates"], **found.get("setValues", {})}:
        place = schema()
        for key in path.split("."):
            place = place["properties"][key]
    named = re.findall(r"\{\{\.IMAGE_[A-Z]+_(\w+)}}", json.dumps(found["setValueTemplates"]))
    assert set(named) == {each["image"].replace("-", "_") for each in active(name)["build"]["artifacts"]}


def test_only_what_was_pushed_is_deployed_by_digest() -> None:
    for name in EVERY:
        by_digest = any(".digest" in path for path in release(name)["setValueTemplates"])
        assert by_digest == active(name)["build"]["local"]["push"]


def test_what_is_synchronised_lands_where_the_images_for_it_run() -> None:
    reload = (ROOT / "tools/reload").read_text()
    for artifact in active("dev")["build"]["artifacts"]:
        for rule in artifact["sync"]["manual"]:
            assert list(ROOT.glob(rule["src"]))
            assert rule["src"].startswith(rule["strip"])
            assert f"PYTHONPATH={rule['dest']}:" in reload
        assert artifact["docker"]["target"].endswith("-dev")


def test_what_is_forwarded_is_the_agent_of_the_values() -> None:
    names = {each["resourceName"] for each in active("dev")["portForward"]}

    assert names == {load("ci/dev-values.yaml")["sample"]["name"]}
