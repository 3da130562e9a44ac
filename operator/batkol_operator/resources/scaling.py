"""The number of pods: fixed, or by calls. Scaling up is quick; scaling down is slow, for every pod drains first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.workload import Autoscaler
from batkol_operator.quantity import quantity
from batkol_operator.resources.objects import owned_object

SCALED_OBJECT: Final = "keda.sh/ScaledObject"
ACTIVE_CALLS: Final = "batkol_calls_active"
"""The gauge of live calls in the service's /metrics."""

DEFAULT_REPLICAS: Final = 2
_AIM_PERCENT: Final = 70


@dataclass(frozen=True, slots=True)
class Scale:
    """The number of pods, or the autoscaler that sets it."""

    replicas: int | None  # None: the autoscaler sets it
    autoscaler: Manifest | None
    warnings: tuple[str, ...] = ()


def scale(agent: VoiceAgent, kinds: frozenset[str], present: int) -> Scale:
    """Return the scale. If the spec wants KEDA and the cluster lacks it: the number of pods that is `present`, at least
    KEDA's least, and a warning. So who installs KEDA anew, which removes its kinds for a while, loses no pod.
    """
    wanted = agent.spec.scaling
    if wanted.max_replicas is None:
        return Scale(DEFAULT_REPLICAS if wanted.replicas is None else wanted.replicas, None)
    if wanted.autoscaler is Autoscaler.HORIZONTAL_POD_AUTOSCALER:
        return Scale(None, _horizontal_pod_autoscaler(agent))
    if SCALED_OBJECT in kinds:
        return Scale(None, _scaled_object(agent))
    fewest, most = _bounds(agent)
    replicas = min(max(fewest, present), most)
    running = quantity(replicas, "pod runs", "pods run")
    warning = (
        f"`scaling.autoscaler` is ScaledObject, but this cluster has no KEDA: {running}, and none is added. "
        "Install KEDA, or choose HorizontalPodAutoscaler."
    )
    return Scale(replicas, None, (warning,))


def _bounds(agent: VoiceAgent) -> tuple[int, int]:
    wanted = agent.spec.scaling
    most = wanted.max_replicas or DEFAULT_REPLICAS
    return wanted.min_replicas or min(DEFAULT_REPLICAS, most), most


def calls_per_pod(agent: VoiceAgent) -> int:
    """Return the autoscaler's target of calls in each pod; the room above it takes calls until a new pod is ready."""
    return agent.spec.scaling.calls_per_pod or max(1, agent.spec.calls.max_per_pod * _AIM_PERCENT // 100)


def _target(agent: VoiceAgent) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": agent.metadata.name}


def _behavior(agent: VoiceAgent) -> Manifest:
    """Scale up at once; scale down one pod in five minutes, after the spec's time of low load."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15},
                {"type": "Pods", "value": 4, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": agent.spec.scaling.scale_down_stabilization_seconds,
            "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}],
        },
    }


def _horizontal_pod_autoscaler(agent: VoiceAgent) -> Manifest:
    fewest, most = _bounds(agent)
    metric = {
        "type": "Pods",
        "pods": {
            "metric": {"name": ACTIVE_CALLS},
            "target": {"type": "AverageValue", "averageValue": str(calls_per_pod(agent))},
        },
    }
    return owned_object(
        agent,
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "scaleTargetRef": _target(agent),
            "minReplicas": fewest,
            "maxReplicas": most,
            "metrics": [metric],
            "behavior": _behavior(agent),
        },
    )


def _scaled_object(agent: VoiceAgent) -> Manifest:
    """Build the object without `fallback`: while Prometheus is unreachable the number of pods stays."""
    fewest, most = _bounds(agent)
    trigger = {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": agent.spec.scaling.prometheus_url,
            "query": _query(agent),
            "threshold": str(calls_per_pod(agent)),
            "ignoreNullValues": "false",  # no series means no answer, not no calls
        },
    }
    return owned_object(
        agent,
        "keda.sh/v1alpha1",
        "ScaledObject",
        spec={
            "scaleTargetRef": _target(agent),
            "pollingInterval": 15,
            "minReplicaCount": fewest,
            "maxReplicaCount": most,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(agent)}},
            "triggers": [trigger],
        },
    )


def _query(agent: VoiceAgent) -> str:
    """Select by pod names, which all scrapes have; `a-[^-]+-[^-]+` does not match the pods of an agent `a-b`."""
    about = agent.metadata
    return f'sum({ACTIVE_CALLS}{{namespace="{about.namespace}",pod=~"{about.name}-[^-]+-[^-]+"}})'
