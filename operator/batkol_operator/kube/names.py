"""The names that bind a `VoiceAgent` to its objects: API group, labels, object names, owner reference."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as its JSON reads."""

GROUP: Final = "batkol.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "VoiceAgent"
PLURAL: Final = "voiceagents"
SHORT_NAME: Final = "vagent"
CATEGORY: Final = "batkol"

FINALIZER: Final = "batkol.dev/finalizer"
FIELD_MANAGER: Final = "batkol-operator"
PAUSED: Final = "batkol.dev/paused"  # annotation of a VoiceAgent; "true" stops reconciling
LIVE_REVISION: Final = "batkol.dev/live-revision"  # annotation of pods, never of the template
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"  # annotation of pods

NAME: Final = "app.kubernetes.io/name"
INSTANCE: Final = "app.kubernetes.io/instance"
COMPONENT: Final = "app.kubernetes.io/component"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
AGENT: Final = "batkol.dev/agent"
REHEARSES: Final = "batkol.dev/rehearses"  # label of the pod of `helm test`: the agent that it calls

LONGEST_NAME: Final = 53
"""Characters of an agent's name: a label's 63 less what KEDA puts before it (`keda-hpa-`)."""

CONTAINER: Final = "media"
MIGRATION: Final = "migrate"  # init container, where there is a database
PUBLIC: Final = "public"
PUBLIC_PORT: Final = 8080
INTERNAL: Final = "internal"
INTERNAL_PORT: Final = 8081

TUNING_KEY: Final = "tuning.json"
FLAGS_KEY: Final = "flags.json"
REPLY_KEY: Final = "reply.json"
TOKEN_KEY: Final = "token"  # noqa: S105 -- the key in the Secret, not the secret


FLEET: Final = "-fleet"
"""The end of the name of an agent's second Service, and so of no agent's name."""


def live_name(agent: str) -> str:
    """Name the ConfigMap with the live configuration."""
    return f"{agent}-live"


def api_secret_name(agent: str) -> str:
    """Name the Secret with the bearer token of the pods' internal API."""
    return f"{agent}-api"


def fleet_name(agent: str) -> str:
    """Name the headless Service by which the pods find each other."""
    return f"{agent}{FLEET}"


def selector(agent: str) -> dict[str, str]:
    """Labels that select this agent's pods. A Deployment's selector can never change, so these must not."""
    return {NAME: "batkol", INSTANCE: agent, COMPONENT: "media"}


def labels(agent: str) -> dict[str, str]:
    """Labels of every object and every pod of an agent."""
    return {**selector(agent), MANAGED_BY: FIELD_MANAGER, AGENT: agent}


def selector_text(agent: str) -> str:
    """Write the selector as `kubectl --selector` and the scale subresource take it."""
    return ",".join(f"{key}={value}" for key, value in selector(agent).items())


def owner(agent: str, uid: str) -> Manifest:
    """Write the owner reference of an agent's object: deleting the agent deletes the object."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": agent,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
