"""Kubernetes Events about an agent, as `kubectl describe` shows them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from batkol_operator.kube.names import API_VERSION, FIELD_MANAGER, KIND, Manifest
from batkol_operator.status.conditions import timestamp
from batkol_operator.status.transitions import EventDraft

LONGEST: Final = 1024
"""Bytes of a message that the API accepts; a character may take three."""


def event_manifest(agent: Mapping[str, Any], draft: EventDraft, pod_name: str, at: datetime) -> Manifest:
    """Write an Event of the core API about an agent. `agent`: its metadata. `pod_name`: the operator's pod."""
    message = draft.message if len(draft.message.encode()) <= LONGEST else draft.message[: LONGEST // 3 - 1] + "…"
    when = timestamp(at)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{agent['name']}.{uuid.uuid4().hex[:16]}", "namespace": agent["namespace"]},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": agent["name"],
            "namespace": agent["namespace"],
            "uid": agent["uid"],
        },
        "type": draft.type,
        "reason": draft.reason,
        "message": message,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": pod_name or FIELD_MANAGER,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }
