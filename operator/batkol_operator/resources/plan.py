"""The whole desired state of one `VoiceAgent`, from the agent and the facts about the cluster only.

Pure: the same input gives the same bytes. Applying a plan needs no memory of the plans before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.deployment import deployment
from batkol_operator.resources.disruption import disruption
from batkol_operator.resources.exposure import exposure
from batkol_operator.resources.flag_sources import FEATURE_FLAGS, MergedFlags, merge_flags
from batkol_operator.resources.flags import specified
from batkol_operator.resources.identity import identity
from batkol_operator.resources.live import config_map, live_files
from batkol_operator.resources.monitoring import pod_monitor
from batkol_operator.resources.network import network_policy
from batkol_operator.resources.replies import reply_warnings
from batkol_operator.resources.scaling import scale
from batkol_operator.resources.secret import api_secret
from batkol_operator.resources.service import fleet_service, service

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
"""(apiVersion, kind, plural) of all objects that a plan may have. Those with the operator's label that are not in the
plan are deleted."""

OPTIONAL_KINDS: Final = frozenset(
    {"keda.sh/ScaledObject", "monitoring.coreos.com/PodMonitor", "gateway.networking.k8s.io/HTTPRoute"}
)
"""The owned kinds that a cluster may lack, as "group/Kind"."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Facts about the cluster and the operator in it, as far as a plan needs them."""

    image: str  # the service's image for an agent that names none
    api_token: str = field(repr=False)  # of the pods' internal API
    kinds: frozenset[str]  # those of `OPTIONAL_KINDS`, and FeatureFlag, that the cluster has
    operator_namespace: str  # the namespace from which the operator polls the pods' internal API
    feature_flags: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """`flagSpec` of the FeatureFlags that the agent names, by name; those that exist."""
    pods: int = 0  # that the agent's Deployment has now by its spec


@dataclass(frozen=True, slots=True)
class Plan:
    """The wanted objects, and warnings about those that the cluster cannot have."""

    objects: tuple[Manifest, ...] = field(repr=False)  # in the order of applying; one of them is a Secret
    tuning_revision: str
    flags_revision: str
    reply_revision: str  # "" without `spec.reply`
    warnings: tuple[str, ...]  # sentences
    merged: MergedFlags = field(default_factory=MergedFlags, repr=False)
    autoscaled: bool = False  # an autoscaler is among the objects


def plan(agent: VoiceAgent, cluster: ClusterFacts) -> Plan:
    """Return all objects of this agent in the order of applying: what pods need to start comes first."""
    names = [source.name for source in agent.spec.flags_from]
    served = FEATURE_FLAGS in cluster.kinds
    merged = merge_flags(names, cluster.feature_flags, specified(agent.spec), served=served)
    files = live_files(agent.spec, merged)
    scaling = scale(agent, cluster.kinds, cluster.pods)
    monitor, unmonitored = pod_monitor(agent, cluster.kinds)
    entry, unreachable = exposure(agent, cluster.kinds)
    wanted = (
        *identity(agent),
        config_map(agent, files),
        api_secret(agent, cluster.api_token),
        service(agent),
        fleet_service(agent),
        deployment(
            agent,
            image=agent.spec.image.reference(cluster.image),
            token=cluster.api_token,
            replicas=scaling.replicas,
        ),
        disruption(agent),
        scaling.autoscaler,
        network_policy(agent, operator_namespace=cluster.operator_namespace, monitored=monitor is not None),
        entry,
        monitor,
    )
    return Plan(
        objects=tuple(one for one in wanted if one is not None),
        tuning_revision=files.tuning_revision,
        flags_revision=files.flags_revision,
        reply_revision=files.reply_revision,
        warnings=(*scaling.warnings, *unreachable, *unmonitored, *reply_warnings(agent.spec)),
        merged=merged,
        autoscaled=scaling.autoscaler is not None,
    )
