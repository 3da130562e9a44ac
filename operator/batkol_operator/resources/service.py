"""The Service: one address for all pods, on both ports."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import owned_object


def service(agent: VoiceAgent) -> Manifest:
    """Return the Service. Its port `internal` reaches any one pod: subscribers connect to every pod instead."""
    return owned_object(
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
