"""The PodMonitor: Prometheus scrapes every pod by itself, for each has its own calls."""

from __future__ import annotations

from typing import Final

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.workload import Presence
from batkol_operator.resources.objects import owned_object

POD_MONITOR: Final = "monitoring.coreos.com/PodMonitor"


def pod_monitor(agent: VoiceAgent, kinds: frozenset[str]) -> tuple[Manifest | None, tuple[str, ...]]:
    """Return the PodMonitor, and a warning if the spec wants one and the cluster cannot have it."""
    wanted = agent.spec.telemetry.pod_monitor
    if wanted is Presence.DISABLED:
        return None, ()
    if POD_MONITOR not in kinds:
        warning = (
            "`telemetry.podMonitor` is Enabled, but this cluster has no PodMonitors: no Prometheus scrapes the pods. "
            "Install the Prometheus Operator, or set `telemetry.podMonitor` to Auto."
        )
        return None, (warning,) if wanted is Presence.ENABLED else ()
    monitor = owned_object(
        agent,
        "monitoring.coreos.com/v1",
        "PodMonitor",
        spec={
            "selector": {"matchLabels": names.selector(agent.metadata.name)},
            "jobLabel": names.AGENT,  # the alerts tell agents apart by namespace and job
            "podTargetLabels": [names.AGENT],
            "podMetricsEndpoints": [{"port": names.INTERNAL, "path": "/metrics", "interval": "15s"}],
        },
    )
    return monitor, ()
