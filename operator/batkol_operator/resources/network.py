"""The NetworkPolicy: the namespaces that may open connections to the pods, the pods themselves to each other, and
the pod of `helm test`, which runs in the agent's namespace.

Egress stays open: Google, Twilio's callbacks, a database, a collector and DNS may be anywhere. A cluster's admin who
knows their addresses can add another policy; policies add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.streaming import CallerMode
from batkol_operator.resources.objects import owned_object


def network_policy(agent: VoiceAgent, *, operator_namespace: str, monitored: bool) -> Manifest | None:
    """Return the policy, or None if it is disabled. Probes come from the node, which is always allowed."""
    wanted = agent.spec.network_policy
    if wanted.mode is CallerMode.DISABLED:
        return None
    own, rehearsal = names.selector(agent.metadata.name), {names.REHEARSES: agent.metadata.name}
    asking = {operator_namespace, *wanted.internal_namespaces, *(wanted.monitoring_namespaces if monitored else ())}
    return owned_object(
        agent,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": {"matchLabels": own},
            "policyTypes": ["Ingress"],
            "ingress": [
                _allow(names.PUBLIC, wanted.ingress_namespaces, rehearsal),
                _allow(names.INTERNAL, asking, own, rehearsal),
            ],
        },
    )


def _allow(port: str, namespaces: Iterable[str], *pods: Mapping[str, str]) -> Manifest:
    """Build a rule; without namespaces it allows all clients. `pods`: labels of pods of the agent's own namespace."""
    rule: Manifest = {"ports": [{"port": port, "protocol": "TCP"}]}
    if wanted := sorted(namespaces):
        chosen = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": wanted}
        rule["from"] = [
            {"namespaceSelector": {"matchExpressions": [chosen]}},
            *({"podSelector": {"matchLabels": dict(labels)}} for labels in pods),
        ]
    return rule
