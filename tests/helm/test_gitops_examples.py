"""The examples for Argo CD and Flux: fields that these have, rules for fields that a VoiceAgent has, and the order.

Neither runs here. The fields are those of public definitions (Application v1alpha1; HelmRelease v2; Kustomization,
GitRepository and OCIRepository v1), as far as an example uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.crd import crd
from support.chart.files import LOADER, ROOT

EXAMPLES = ROOT / "helm/examples"
FIELDS = {
    "Application": {
        "project", "destination.server", "destination.namespace", "source.repoURL", "source.chart", "source.path",
        "source.targetRevision", "source.helm.valuesObject", "ignoreDifferences.group", "ignoreDifferences.kind",
        "ignoreDifferences.jsonPointers", "syncPolicy.automated.prune", "syncPolicy.automated.selfHeal",
        "syncPolicy.syncOptions", "syncPolicy.retry.limit", "syncPolicy.retry.backoff.duration",
        "syncPolicy.retry.backoff.factor", "syncPolicy.retry.backoff.maxDuration",
    },
    "OCIRepository": {"interval", "url", "ref.tag", "layerSelector.mediaType", "layerSelector.operation"},
    "GitRepository": {"interval", "url", "ref.branch"},
    "HelmRelease": {
        "interval", "chartRef.kind", "chartRef.name", "install.crds", "upgrade.crds", "upgrade.remediation.retries",
        "upgrade.remediation.strategy", "driftDetection.mode", "values",
    },
    "Kustomization": {
        "dependsOn.name", "interval", "path", "prune", "wait", "timeout", "targetNamespace", "sourceRef.kind",
        "sourceRef.name",
    },
}  # fmt: skip
VERSIONS = {
    "Application": "argoproj.io/v1alpha1",
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
}
SYNC_OPTIONS = {
    "CreateNamespace=true", "ServerSideApply=true", "RespectIgnoreDifferences=true", "SkipDryRunOnMissingResource=true",
}  # fmt: skip
OPEN = ("source.helm.valuesObject", "values")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.load_all((EXAMPLES / name).read_text(), LOADER))


def fields(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        for each in value:
            yield from fields(each, path)
    elif isinstance(value, dict) and path not in OPEN:
        for name, inner in value.items():
            yield from fields(inner, f"{path}.{name}" if path else name)
    else:
        yield path


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: str(path.stem))
def test_each_object_has_fields_of_its_kind(path: Any) -> None:
    found = [each for each in documents(path.name) if "kind" in each]

    assert bool(found) == ("values" not in path.stem)
    for each in found:
        assert each["apiVersion"] == VERSIONS[each["kind"]]
        assert set(fields(each["spec"])) <= FIELDS[each["kind"]]
        assert set(each["spec"].get("syncPolicy", {}).get("syncOptions", ())) <= SYNC_OPTIONS


def test_argo_ignores_fields_that_there_are_and_also_when_it_syncs() -> None:
    (application,) = documents("argocd-agents.yaml")
    (rule,) = application["spec"]["ignoreDifferences"]
    definition = crd()["spec"]
    schema = definition["versions"][0]["schema"]["openAPIV3Schema"]

    assert (rule["group"], rule["kind"]) == (definition["group"], definition["names"]["kind"])
    assert len(rule["jsonPointers"]) == 4
    for pointer in rule["jsonPointers"]:
        node = schema
        for part in pointer.removeprefix("/").split("/"):
            node = node["properties"][part]
    assert {"RespectIgnoreDifferences=true", "SkipDryRunOnMissingResource=true"} <= set(
        application["spec"]["syncPolicy"]["syncOptions"]
    )


def test_agents_come_after_the_chart() -> None:
    (application,) = documents("argocd-agents.yaml")
    _, chart, agents = documents("flux-agents.yaml")

    assert application["spec"]["syncPolicy"]["retry"]["limit"] > 3
    assert int(application["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) > 0
    assert agents["spec"]["dependsOn"] == [{"name": chart["metadata"]["name"]}]
    assert chart["spec"]["wait"]


def test_the_page_names_the_examples_and_what_to_leave_out_of_git() -> None:
    page = (ROOT / "docs/kubernetes.md").read_text("utf-8")
    (application,) = documents("argocd-agents.yaml")

    for path in EXAMPLES.glob("*-*.yaml"):
        assert path.stem.endswith("values") or f"helm/examples/{path.name}" in page
    for pointer in application["spec"]["ignoreDifferences"][0]["jsonPointers"]:
        assert f"`{pointer.removeprefix('/spec/').replace('/', '.')}`" in page
