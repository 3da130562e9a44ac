"""Kubernetes Events about an agent, as `kubectl describe` shows them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from batkol_operator.kube.names import API_VERSION, FIELD_MANAGER, KIND, Manifest
from batkol_operator.status.conditions import timestamp
from batkol_operator.status.transitions import Announcement

LONGEST: Final = 1024
"""Bytes of a message, by the API's validation; every character of ours may take three."""


def event(agent: Mapping[str, Any], said: Announcement, reporter: str, at: datetime) -> Manifest:
    """Write an Event of the core API about an agent. `agent`: its metadata. `reporter`: the pod that says so."""
    message = said.message if len(said.message.encode()) <= LONGEST else said.message[: LONGEST // 3 - 1] + "…"
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
        "type": said.type,
        "reason": said.reason,
        "message": message,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": reporter or FIELD_MANAGER,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }
