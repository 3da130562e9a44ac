"""What the chart can be told: nothing unknown, nothing unexplained."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types
import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import CHART, DEFAULT, LOADER, ROOT, cases, load, schema

EXAMPLES = ROOT / "helm/examples"

OPEN = {
    "commonLabels", "commonAnnotations", "serviceAccount.annotations", "resources.requests", "resources.limits",
    "podAnnotations", "podLabels", "nodeSelector", "affinity.nodeAffinity", "affinity.podAffinity",
    "affinity.podAntiAffinity", "networkPolicy.monitoringNamespaceSelector.matchLabels", "monitoring.podMonitor.labels",
    "monitoring.serviceMonitor.labels", "podSecurityContext", "securityContext", "dnsConfig",
    "monitoring.prometheusRule.labels", "monitoring.dashboards.annotations", "sample.spec", "global",
}  # fmt: skip
"""Objects whose keys are Kubernetes's, the user's, or Helm's, and not the chart's."""


def values(case: str) -> Any:
    """Return what Helm would check: the defaults, with the case's values over them."""
    own = {} if case == DEFAULT else load(f"ci/{case}-values.yaml")
    return _over(load("values.yaml"), own)


def _over(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    merged = {**below, **{key: _over(below.get(key), value) for key, value in above.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def objects(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every object that the schema describes, by its path; not those in lists."""
    yield path, node
    for key, inner in node.get("properties", {}).items():
        if inner.get("type") == "object" or "$ref" in inner:
            yield from objects(inner, f"{path}.{key}" if path else key)


@pytest.mark.parametrize("case", cases())
def test_the_schema_takes_the_values(case: str) -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    assert list(jsonschema.Draft7Validator(schema()).iter_errors(values(case))) == []


GIVEN = [path for path in sorted(EXAMPLES.glob("*.yaml")) if "agents" not in path.stem]


@pytest.mark.parametrize("path", GIVEN, ids=lambda path: str(path.stem))
def test_the_schema_takes_the_examples(path: Path) -> None:
    """Of Argo CD's and Flux's objects, what they hand to Helm."""
    documents = list(yaml.load_all(path.read_text(), LOADER))
    given = documents[-1]
    if "values" not in path.stem:
        spec = given["spec"]
        given = spec["values"] if "values" in spec else spec["source"]["helm"]["valuesObject"]
    merged = _over(load("values.yaml"), given)

    assert given
    assert list(jsonschema.Draft7Validator(schema()).iter_errors(merged)) == []


def test_what_is_only_rendered_names_a_key_of_its_own() -> None:
    """Argo CD looks nothing up: each rendering would make another key, and replace every pod."""
    application = yaml.load((EXAMPLES / "argocd-application.yaml").read_text(), LOADER)

    assert application["spec"]["source"]["helm"]["valuesObject"]["operatorKey"]["existingSecret"]
    assert "ServerSideApply=true" in application["spec"]["syncPolicy"]["syncOptions"]


def test_the_schema_knows_exactly_the_default_values() -> None:
    """A value without a default would be a secret, a default without a schema an error at every installation."""

    def keys(node: Any, path: str) -> Iterator[str]:
        for key, inner in node.get("properties", {}).items():
            yield (here := f"{path}.{key}" if path else key)
            yield from keys(inner, here)

    def given(value: Any, path: str = "") -> Iterator[str]:
        if isinstance(value, dict) and path not in OPEN:
            for key, inner in value.items():
                yield (here := f"{path}.{key}" if path else key)
                yield from given(inner, here)

    # What is empty by default, but has a shape.
    shaped = {"global", "resources.claims"}
    shaped |= {f"affinity.{kind}" for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity")}
    shaped |= {f"networkPolicy.monitoringNamespaceSelector.{key}" for key in ("matchLabels", "matchExpressions")}

    assert set(keys(schema(), "")) - shaped == set(given(load("values.yaml")))


def test_nothing_unknown_is_taken_anywhere() -> None:
    everywhere = dict(objects(schema()))
    closed = {path for path, node in everywhere.items() if node.get("additionalProperties") is False}

    assert set(everywhere) - closed == OPEN
    for path in closed:
        document = copy.deepcopy(load("values.yaml"))
        place = document
        for key in filter(None, path.split(".")):
            place = place[key]
        place["tpyo"] = 1
        with pytest.raises(jsonschema.ValidationError, match="tpyo"):
            jsonschema.validate(document, schema(), jsonschema.Draft7Validator)


def test_items_of_lists_are_closed_too() -> None:
    def items(node: Any) -> Iterator[Any]:
        if isinstance(node, dict):
            if node.get("type") == "array":
                yield node["items"]
            for inner in node.values():
                yield from items(inner)

    for item in items(schema()):
        assert item.get("additionalProperties") is False or item.get("type") != "object", item


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicas", 3),
        ("image.digest", "latest"),
        ("image.repository", ""),
        ("image.pullPolicy", "Sometimes"),
        ("watchNamespaces", ["All"]),
        ("watchNamespaces", ["a", "a"]),
        ("ports.metrics", 80),
        ("monitoring.podMonitor.mode", True),
        ("operatorKey.key", "../key"),
        ("resyncSeconds", "60"),
        ("test.publicBaseUrl", "voice.example.com"),
        ("imageRegistry", "/voice"),
        ("strategy.type", "Never"),
        ("strategy.rollingUpdate.maxSurge", "some"),
        ("dnsPolicy", "ClusterFirstWithHostNet"),
        ("admissionPolicy.serviceAccounts", ["*"]),
        ("monitoring.prometheusRule.runbookBaseUrl", "docs"),
    ],
)
def test_what_cannot_work_is_refused(path: str, value: Any) -> None:
    document = load("values.yaml")
    *places, last = path.split(".")
    place = document
    for key in places:
        place = place[key]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError) as refused:
        jsonschema.validate(document, schema(), jsonschema.Draft7Validator)

    assert ".".join(str(each) for each in refused.value.absolute_path).startswith(path)


def test_files_of_values_say_what_they_are_for_where_it_is_not_plain() -> None:
    assert "skaffold" in (CHART / "ci/dev-values.yaml").read_text().splitlines()[0]
