"""The PodDisruptionBudget: draining a node evicts one pod at a time, each after its calls."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import owned_object


def disruption(agent: VoiceAgent) -> Manifest:
    """Return the budget. Unhealthy pods may be evicted at any time, or they would block a node's drain for ever."""
    return owned_object(
        agent,
        "policy/v1",
        "PodDisruptionBudget",
        spec={
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector(agent.metadata.name)},
        },
    )
