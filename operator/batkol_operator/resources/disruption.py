"""The PodDisruptionBudget: nodes are emptied one pod at a time, each after its calls."""

from __future__ import annotations

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import child


def disruption(agent: VoiceAgent) -> Manifest:
    """Return the budget; pods that are not healthy may go at any time, or they would block a node for ever."""
    return child(
        agent,
        "policy/v1",
        "PodDisruptionBudget",
        spec={
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector(agent.metadata.name)},
        },
    )
