"""The Services: one address for all pods, on both ports; and one name for the addresses of each."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.exposure import ServiceType
from batkol_operator.resources.objects import owned_object


def service(agent: VoiceAgent) -> Manifest:
    """Return the Service. Its port `internal` reaches any one pod; with `?scope=fleet` that pod answers for all.

    A type that opens ports to other networks has the port `public` alone.
    """
    wanted = agent.spec.service
    ports = [_port(names.PUBLIC, wanted.port)]
    if wanted.type is ServiceType.CLUSTER_IP:
        ports.append(_port(names.INTERNAL, names.INTERNAL_PORT))
    made = owned_object(
        agent,
        "v1",
        "Service",
        spec={"type": str(wanted.type), "selector": names.selector(agent.metadata.name), "ports": ports},
    )
    if wanted.annotations:
        made["metadata"]["annotations"] = dict(sorted(wanted.annotations.items()))
    return made


def fleet_service(agent: VoiceAgent) -> Manifest:
    """Return the headless Service, whose name the pods resolve to find each other.

    Pods that are not ready and pods that end are in it too: a pod that drains still has calls, for minutes.
    """
    return owned_object(
        agent,
        "v1",
        "Service",
        name=names.fleet_name(agent.metadata.name),
        spec={
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": names.selector(agent.metadata.name),
            "ports": [_port(names.INTERNAL, names.INTERNAL_PORT)],
        },
    )


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", "appProtocol": "http"}
