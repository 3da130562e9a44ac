"""The operator's metrics, for Prometheus. Served by a thread of their own: kopf ends every task that is younger
than itself.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from batkol_operator.watch.cache import AgentKey

CONVERGED_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
PASS_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class OperatorMetrics:
    """Every metric of one operator."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        prefix = "batkol_operator"
        self.reconciles = Counter(
            f"{prefix}_reconciles", "Passes over an agent, by how they ended.", ["result"], registry=registry
        )
        self.errors = Counter(f"{prefix}_errors", "What went wrong in them.", ["kind"], registry=registry)
        self.requests = Counter(
            f"{prefix}_api_requests", "Requests of the loops to the API server.", ["verb"], registry=registry
        )
        self.duration = Histogram(
            f"{prefix}_reconcile_seconds", "How long a pass takes.", buckets=PASS_BUCKETS, registry=registry
        )
        self.converged = Histogram(
            f"{prefix}_converged_seconds",
            "From the first sight of a change of an agent to every pod running it.",
            buckets=CONVERGED_BUCKETS,
            registry=registry,
        )
        self._agents = Gauge(f"{prefix}_agents", "Agents, by the reason of their Ready.", ["reason"], registry=registry)
        self._pods = Gauge(f"{prefix}_pods", "Their pods.", registry=registry)
        self._in_sync = Gauge(f"{prefix}_pods_in_sync", "Those that run what is wanted.", registry=registry)
        self._calls = Gauge(f"{prefix}_active_calls", "Calls, as the pods last said.", registry=registry)
        self._known: dict[AgentKey, tuple[str, int, int, int]] = {}

    def agent(self, agent: AgentKey, *, reason: str, pods: int, in_sync: int, calls: int) -> None:
        """Say how an agent stands."""
        self.agent_removed(agent)
        self._known[agent] = (reason, pods, in_sync, calls)
        self._add(self._known[agent], 1)

    def agent_removed(self, agent: AgentKey) -> None:
        """Say that it is gone, or no longer ours to look after."""
        known = self._known.pop(agent, None)
        if known is not None:
            self._add(known, -1)

    def _add(self, known: tuple[str, int, int, int], sign: int) -> None:
        reason, pods, in_sync, calls = known
        self._agents.labels(reason).inc(sign)
        self._pods.inc(sign * pods)
        self._in_sync.inc(sign * in_sync)
        self._calls.inc(sign * calls)

    def serve(self, port: int) -> None:
        """Serve them at /metrics, for as long as the process lives."""
        start_http_server(port, registry=self.registry)
