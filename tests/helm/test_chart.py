"""The chart's own word about itself."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

import batkol
from batkol_operator.kube.names import REHEARSES
from batkol_operator.model.agent import VoiceAgent
from support.chart.files import CHART, DEFAULT, LOADER, ROOT, cases, is_label, load, samples, snapshot
from support.kube.schema_admission import SCHEMA, admitted, pruned

ANNOTATIONS = load("Chart.yaml")["annotations"]


def annotation(name: str) -> Any:
    return yaml.load(ANNOTATIONS[f"artifacthub.io/{name}"], LOADER)


def agents() -> dict[str, Any]:
    """Return every VoiceAgent that the chart shows or makes."""
    shown = {f"example {i}": example for i, example in enumerate(annotation("crdsExamples"))}
    made = {f"{case}: {each['metadata']['name']}": each for case in cases() for each in samples(snapshot(case))}
    notes = re.search(r"apply -f - <<EOF\n(.*?)\n   EOF", (CHART / "templates/NOTES.txt").read_text(), re.DOTALL)
    assert notes is not None
    return {**shown, **made, "the notes": yaml.load(notes[1], LOADER)}


def test_the_pod_of_helm_test_bears_the_label_by_which_its_agent_lets_it_in() -> None:
    pods = [each for case in cases() for each in snapshot(case) if each["kind"] == "Pod"]
    rehearsed = [next(each for each in pod["spec"]["containers"][0]["args"] if "--voice" in each) for pod in pods]

    assert rehearsed != []
    assert [pod["metadata"]["labels"][REHEARSES] for pod in pods] == [each.rpartition("/")[2] for each in rehearsed]


def test_chart_and_package_have_one_version() -> None:
    chart = load("Chart.yaml")

    assert chart["version"] == chart["appVersion"] == batkol.__version__


def test_artifact_hub_is_told_what_it_asks_for() -> None:
    """https://artifacthub.io/docs/topics/annotations/helm/"""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert annotation("operator") is True
    assert annotation("operatorCapabilities") in {
        "Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot",
    }  # fmt: skip
    assert annotation("license") == project["license"]
    assert [each["kind"] for each in annotation("changes")] == ["added"]
    assert all(each["url"].startswith("https://") for each in annotation("links"))
    (definition,) = annotation("crds")
    crd = load("files/crds/voiceagents.yaml")
    assert (definition["name"], definition["kind"]) == (crd["metadata"]["name"], crd["spec"]["names"]["kind"])
    assert definition["version"] in [version["name"] for version in crd["spec"]["versions"]]


def test_no_address_is_one_that_the_project_does_not_own() -> None:
    """`batkol.dev` is the group of the API and no page: its owner would be read by whoever follows the link."""
    owned_by_none = re.compile(r"https?://([a-z.-]*\.)?batkol\.[a-z]+")
    chart = ROOT / "helm/batkol"
    written = [*chart.glob("*.yaml"), *chart.glob("templates/*"), *chart.glob("files/rules/*"), *ROOT.glob("docs/*.md")]

    assert len(written) > 30
    assert [path.name for path in written if owned_by_none.search(path.read_text("utf-8"))] == []


def test_the_images_told_are_those_installed() -> None:
    values = load("values.yaml")
    version = load("Chart.yaml")["appVersion"]
    told = [each["image"] for each in annotation("images")]

    assert told == [f"{values[which]['repository']}:{version}" for which in ("image", "serviceImage")]


@pytest.mark.parametrize("which", agents())
def test_every_voice_agent_shown_would_be_taken(which: str) -> None:
    agent = agents()[which]
    agent["metadata"] = {"namespace": "default", "uid": "u", "generation": 1, **agent["metadata"]}

    assert pruned(SCHEMA, agent)["spec"] == agent["spec"], "it says what the definition does not know"
    VoiceAgent.read(admitted(agent))


def test_the_agent_of_the_notes_is_one_that_callers_reach_and_that_streams() -> None:
    spec = agents()["the notes"]["spec"]

    assert spec["streaming"] == {"mode": "Enabled"}
    assert spec["exposure"]["ingress"]["tlsSecretName"]


def test_the_chart_fits_into_a_release() -> None:
    """Helm keeps a chart's files in a Secret, of 1 MiB at most, compressed to a fifth or less."""
    size = sum(path.stat().st_size for path in CHART.rglob("*") if path.is_file())

    assert size < 1_000_000
    assert is_label(f"batkol-{load('Chart.yaml')['version']}")


def test_the_operator_may_ask_for_names_wherever_a_cluster_answers() -> None:
    """At pods with Kubernetes' labels, at OpenShift's, and at an address of the node, where no selector finds it."""
    (policy,) = (each for each in snapshot(DEFAULT) if each["kind"] == "NetworkPolicy")
    (names,) = (rule for rule in policy["spec"]["egress"] if {"port": 53, "protocol": "UDP"} in rule["ports"])
    labels = [peer["podSelector"]["matchExpressions"][0]["key"] for peer in names["to"] if "podSelector" in peer]

    assert labels == ["k8s-app", "dns.operator.openshift.io/daemonset-dns"]
    assert {"ipBlock": {"cidr": "169.254.0.0/16"}} in names["to"]
    assert {(each["port"], each["protocol"]) for each in names["ports"]} == {
        (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
    }
