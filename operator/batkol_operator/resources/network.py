"""The NetworkPolicy: who may open connections to the pods.

Egress stays open: Google, Twilio's callbacks, a database and a collector may be anywhere, and DNS with them. Whoever
knows their addresses adds a policy of their own; policies add up.
"""

from __future__ import annotations

from collections.abc import Iterable

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.streaming import CallerMode
from batkol_operator.resources.objects import child


def network_policy(agent: VoiceAgent, *, operator_namespace: str, monitored: bool) -> Manifest | None:
    """Return the policy, or None where it is not wanted. Probes come from the node, which is always let in."""
    wanted = agent.spec.network_policy
    if wanted.mode is CallerMode.DISABLED:
        return None
    asking = {operator_namespace, *wanted.internal_namespaces, *(wanted.monitoring_namespaces if monitored else ())}
    return child(
        agent,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": {"matchLabels": names.selector(agent.metadata.name)},
            "policyTypes": ["Ingress"],
            "ingress": [_allow(names.PUBLIC, wanted.ingress_namespaces), _allow(names.INTERNAL, asking)],
        },
    )


def _allow(port: str, namespaces: Iterable[str]) -> Manifest:
    """From nowhere in particular is from anywhere."""
    rule: Manifest = {"ports": [{"port": port, "protocol": "TCP"}]}
    if wanted := sorted(namespaces):
        chosen = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": wanted}
        rule["from"] = [{"namespaceSelector": {"matchExpressions": [chosen]}}]
    return rule
