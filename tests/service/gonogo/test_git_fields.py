"""Which flips Argo CD or Flux would undo, by what the API server records of an object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batkol.gonogo.git_fields import FLAGS_OUTSIDE_GIT, undoing

CALLERS = ("spec", "streaming", "callers")
IN_GIT: dict[str, Any] = {"f:spec": {"f:streaming": {"f:mode": {}, "f:callers": {'k:{"number":"+97231112222"}': {}}}}}
ELSE: dict[str, Any] = {"f:spec": {"f:twilio": {"f:publicBaseUrl": {}}}}


def fields(manager: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": IN_GIT},
        {"manager": manager, "operation": "Apply", "fieldsV1": fields},
    ]


@pytest.mark.parametrize(
    ("manager", "name"),
    [
        ("argocd-controller", "Argo CD"),
        ("kustomize-controller", "Flux"),
        ("helm-controller", "Flux"),
    ],
)
def test_what_git_has_would_be_put_back_and_what_only_the_cluster_has_would_not(manager: str, name: str) -> None:
    assert undoing({"managedFields": fields(manager, **IN_GIT)}, CALLERS) == name
    assert undoing({"managedFields": fields(manager, **ELSE)}, CALLERS) is None


@pytest.mark.parametrize(
    ("marks", "name"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "voice:batkol.dev/VoiceAgent:voice/reception"}}, "Argo CD"),
        ({"labels": {"argocd.argoproj.io/instance": "voice"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "voice"}}, "Flux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "batkol"}}, "Flux"),
    ],
)
def test_what_is_marked_and_has_no_record_of_its_fields_might_be_put_back(marks: dict[str, Any], name: str) -> None:
    assert undoing(marks, CALLERS) == name


@pytest.mark.parametrize(("spec", "expected"), [({"streaming": {"callers": []}}, "Argo CD"), ({"twilio": {}}, None)])
def test_what_was_applied_last_says_it_too(spec: dict[str, Any], expected: str | None) -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": spec})}
    marked = {"annotations": {"argocd.argoproj.io/tracking-id": "x", **applied}}

    assert undoing(marked, CALLERS) == expected
    broken = {"annotations": {**marked["annotations"], "kubectl.kubernetes.io/last-applied-configuration": "["}}
    assert undoing(broken, CALLERS) == "Argo CD"


def test_an_object_of_nobodys_git_and_one_whose_owner_says_so_are_free() -> None:
    helm = {"labels": {"app.kubernetes.io/instance": "batkol", "app.kubernetes.io/managed-by": "Helm"}}
    said = {"annotations": {FLAGS_OUTSIDE_GIT: "true"}, "managedFields": fields("argocd-controller", **IN_GIT)}

    assert undoing({}, CALLERS) is None
    assert undoing(helm, CALLERS) is None
    assert undoing(said, CALLERS) is None
    assert undoing({**said, "annotations": {FLAGS_OUTSIDE_GIT: "no"}}, CALLERS) == "Argo CD"
