"""The whole desired state of one `VoiceAgent`, from nothing but the agent and what is known of the cluster.

Pure: the same input gives the same bytes. Whoever applies a plan needs to remember nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.deployment import deployment
from batkol_operator.resources.disruption import disruption
from batkol_operator.resources.exposure import exposure
from batkol_operator.resources.identity import identity
from batkol_operator.resources.live import config_map, live_files
from batkol_operator.resources.monitoring import pod_monitor
from batkol_operator.resources.network import network_policy
from batkol_operator.resources.scaling import scale
from batkol_operator.resources.secret import api_secret
from batkol_operator.resources.service import service

OWNED_KINDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("rbac.authorization.k8s.io/v1", "Role", "roles"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Secret", "secrets"),
    ("v1", "Service", "services"),
    ("apps/v1", "Deployment", "deployments"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("keda.sh/v1alpha1", "ScaledObject", "scaledobjects"),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    ("networking.k8s.io/v1", "Ingress", "ingresses"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes"),
    ("monitoring.coreos.com/v1", "PodMonitor", "podmonitors"),
)
"""(apiVersion, Kind, plural) of all that a plan may hold: what is labelled ours, of these, and not in it is deleted."""

OPTIONAL_KINDS: Final = frozenset(
    {"keda.sh/ScaledObject", "monitoring.coreos.com/PodMonitor", "gateway.networking.k8s.io/HTTPRoute"}
)
"""The kinds among them, as "group/Kind", that a cluster may lack."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the cluster, and of the operator in it."""

    image: str  # reference of the service's image, where the agent names none
    api_token: str = field(repr=False)  # of the pods' internal API
    kinds: frozenset[str]  # of `OPTIONAL_KINDS`, those that the cluster has
    operator_namespace: str  # from where the pods' internal API is asked


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be there, and what cannot be."""

    objects: tuple[Manifest, ...] = field(repr=False)  # in the order to apply them; one of them is a Secret
    tuning_revision: str
    flags_revision: str
    warnings: tuple[str, ...]  # sentences


def plan(agent: VoiceAgent, around: Surroundings) -> Plan:
    """Return everything that belongs to this agent, in the order to apply it: what pods need to start comes first."""
    files = live_files(agent.spec)
    scaling = scale(agent, around.kinds)
    monitor, unmonitored = pod_monitor(agent, around.kinds)
    way_in, unreachable = exposure(agent, around.kinds)
    wanted = (
        *identity(agent),
        config_map(agent, files),
        api_secret(agent, around.api_token),
        service(agent),
        deployment(
            agent,
            image=agent.spec.image.reference(around.image),
            token=around.api_token,
            replicas=scaling.replicas,
        ),
        disruption(agent),
        scaling.autoscaler,
        network_policy(agent, operator_namespace=around.operator_namespace, monitored=monitor is not None),
        way_in,
        monitor,
    )
    return Plan(
        objects=tuple(one for one in wanted if one is not None),
        tuning_revision=files.tuning_revision,
        flags_revision=files.flags_revision,
        warnings=(*scaling.warnings, *unreachable, *unmonitored),
    )
