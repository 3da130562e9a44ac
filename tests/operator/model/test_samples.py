"""The samples to begin with: each would be taken, and says what its first line promises."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.plan import plan
from support.chart.files import LOADER, ROOT
from support.kube.manifests import VERSIONS, kinds, not_restricted, one, refusal, variables
from support.kube.schema_admission import SCHEMA, admitted, pruned
from support.operators.agents import AROUND, document

SAMPLES = sorted((ROOT / "config/samples").glob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    written: dict[str, Any] = yaml.load(path.read_text("utf-8"), LOADER)
    written["metadata"] |= {"uid": "0c5e-3", "generation": 1}
    return written


def sample(name: str) -> VoiceAgent:
    return VoiceAgent.read(admitted(read(ROOT / f"config/samples/{name}.yaml")))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: str(path.stem))
def test_a_sample_is_taken_as_it_is_written(path: Path) -> None:
    written = read(path)
    wanted = plan(VoiceAgent.read(admitted(written)), AROUND)
    deployment = one(wanted, "Deployment")

    assert pruned(SCHEMA, written)["spec"] == written["spec"], "it says what the definition does not know"
    assert path.read_text("utf-8").startswith("# ")
    assert wanted.warnings == ()
    assert refusal(deployment, VERSIONS[0]) == ""
    assert list(not_restricted(deployment["spec"]["template"]["spec"])) == []


PAGE = (ROOT / "docs/kubernetes.md").read_text("utf-8")
PATCHES = re.findall(r"--patch-file /dev/stdin <<EOF\n(.*?)\n *EOF", PAGE, re.DOTALL)
PARTS = re.findall(r"```yaml\n((?:spec|service|twilio):.*?)```", PAGE, re.DOTALL)


def merged(patch: dict[str, Any]) -> dict[str, Any]:
    """Return what a merge patch leaves where nothing was: null removes a field (RFC 7386)."""
    return {
        name: merged(value) if isinstance(value, dict) else value for name, value in patch.items() if value is not None
    }


@pytest.mark.parametrize("number", range(len(PATCHES) + len(PARTS)))
def test_what_the_page_shows_is_taken(number: int) -> None:
    """On an agent that keeps calls, as the page says where it matters."""
    shown = merged(yaml.load(textwrap.dedent([*PATCHES, *PARTS][number]), LOADER))
    spec = {"database": {"urlSecretRef": {"name": "n", "key": "k"}}, **shown.get("spec", shown)}
    if "restApi" in spec.get("twilio", {}):
        spec["twilio"]["restApi"]["accountSid"] = "AC" + "0" * 32  # the page has an ellipsis
    whole = document(**spec)

    assert pruned(SCHEMA, whole)["spec"] == whole["spec"], "it shows what the definition does not know"
    assert admitted(whole, rules=False)
    assert VoiceAgent.read(whole)


def test_the_page_shows_a_proxy_and_a_balancer() -> None:
    assert any("cloud-sql-proxy" in each for each in PATCHES)
    assert any("LoadBalancer" in each for each in PARTS)


def test_there_is_one_to_begin_one_to_develop_and_one_for_production() -> None:
    assert [path.stem for path in SAMPLES] == ["development", "minimal", "production"]


def test_the_minimal_one_has_nothing_that_it_could_do_without() -> None:
    spec = read(ROOT / "config/samples/minimal.yaml")["spec"]

    assert spec.keys() == {"twilio", "google", "streaming"}
    assert one(plan(sample("minimal"), AROUND), "Deployment")["spec"]["replicas"] == 2


def test_the_one_for_development_asks_for_no_account() -> None:
    wanted = plan(sample("development"), AROUND)
    names = [name for name, value in variables(wanted).items() if "secretKeyRef" in value]

    assert names == ["API_TOKEN"]
    assert one(wanted, "Deployment")["spec"]["replicas"] == 1


def test_the_one_for_production_scales_and_keeps_its_proxy_while_calls_end() -> None:
    wanted = plan(sample("production"), AROUND)
    spec = one(wanted, "Deployment")["spec"]["template"]["spec"]

    assert {"ScaledObject", "Ingress", "NetworkPolicy"} <= set(kinds(wanted))
    assert [(each["name"], each.get("restartPolicy")) for each in spec["initContainers"]] == [
        ("cloud-sql-proxy", "Always"),
        ("migrate", None),
    ]
    assert spec["terminationGracePeriodSeconds"] > 1800
