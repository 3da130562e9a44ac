"""The Service: one address for all pods, on both ports."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import child


def service(agent: VoiceAgent) -> Manifest:
    """Return the Service; `internal` answers for the one pod it happens to reach: subscribers ask every pod."""
    return child(
        agent,
        "v1",
        "Service",
        spec={
            "type": "ClusterIP",
            "selector": names.selector(agent.metadata.name),
            "ports": [_port(names.PUBLIC, names.PUBLIC_PORT), _port(names.INTERNAL, names.INTERNAL_PORT)],
        },
    )


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", "appProtocol": "http"}
