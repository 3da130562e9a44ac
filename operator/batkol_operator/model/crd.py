"""The CustomResourceDefinition, from the models: one source for the API server, `kubectl explain` and the operator."""

from __future__ import annotations

import json
from typing import Any, Final

from batkol_operator.kube import names
from batkol_operator.model.agent import Spec, VoiceAgent
from batkol_operator.model.schema import Schema, schema_of
from batkol_operator.model.status import Status

_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_WIDE: Final = 1  # priority: shown by `kubectl get --output wide`


def crd() -> dict[str, Any]:
    """Return a new object at every call, without a shared part: YAML would write an anchor for one."""
    whole: dict[str, Any] = json.loads(json.dumps(_crd()))
    return whole


def _crd() -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.KIND.lower(),
                "shortNames": [names.SHORT_NAME],
                "categories": [names.CATEGORY],
            },
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.scaling.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": _columns(),
        "schema": {"openAPIV3Schema": _schema()},
    }


def _schema() -> Schema:
    """Build the schema. It declares the name only because a rule's `fieldPath` points at it."""
    return {
        "type": "object",
        "description": "A media and speech-to-text service for Twilio calls: pods that answer the webhook "
        "and turn the callers' speech into text.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Version of this schema: `{names.API_VERSION}`."},
            "kind": {"type": "string", "description": f"`{names.KIND}`."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": schema_of(Spec),
            "status": schema_of(Status),
        },
        "x-kubernetes-validations": [rule.to_schema() for rule in VoiceAgent.rules],
    }


def _columns() -> list[dict[str, Any]]:
    return [
        _column(
            "Ready", f"{_READY}.status", "Whether the agent takes calls and every pod runs the wanted configuration."
        ),
        _column("Reason", f"{_READY}.reason", "Reason of the Ready condition."),
        _column("Pods", ".status.readyReplicas", "Pods that take calls.", kind="integer"),
        _column(
            "In-sync",
            ".status.inSync",
            "Pods that run the wanted tuning, flags and reply settings, of all counted pods.",
        ),
        _column("Calls", ".status.activeCalls", "Live calls in all pods.", kind="integer"),
        _column("Age", ".metadata.creationTimestamp", "Time since creation.", kind="date"),
        _column(
            "Batch",
            ".spec.recognition.batchMilliseconds",
            "Audio in one message to the recognizer, ms.",
            kind="integer",
            wide=True,
        ),
        _column(
            "Debounce",
            ".spec.recognition.partialDebounceMilliseconds",
            "Least time between two partials, ms.",
            kind="integer",
            wide=True,
        ),
        _column("Streaming", ".status.streaming", "Calls with streaming recognition.", wide=True),
        _column("Replies", ".status.replies", "Whether the agent answers.", wide=True),
        _column("Message", f"{_READY}.message", "Message of the Ready condition.", wide=True),
    ]


def _column(name: str, path: str, description: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": _WIDE} if wide else column
