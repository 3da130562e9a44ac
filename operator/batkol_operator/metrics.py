"""The operator's metrics, for Prometheus. A thread of their own serves them: when kopf ends, it cancels every task that
started after it.
"""

from __future__ import annotations

from contextlib import suppress
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
            f"{prefix}_reconciles", "Reconcile passes over agents, by result.", ["result"], registry=registry
        )
        self.errors = Counter(f"{prefix}_errors", "Errors in reconcile passes, by kind.", ["kind"], registry=registry)
        self.requests = Counter(
            f"{prefix}_api_requests",
            "Requests of the agents' loops to the API server, by verb.",
            ["verb"],
            registry=registry,
        )
        self.contests = Counter(
            f"{prefix}_contests",
            "Changes of the operator's fields by other clients, which the operator set back, by kind of the object.",
            ["kind"],
            registry=registry,
        )
        self.duration = Histogram(
            f"{prefix}_reconcile_seconds",
            "Duration of one reconcile pass, in seconds.",
            buckets=PASS_BUCKETS,
            registry=registry,
        )
        self.converged = Histogram(
            f"{prefix}_converged_seconds",
            "Time from the first observation of an agent's change until every pod runs it, in seconds.",
            buckets=CONVERGED_BUCKETS,
            registry=registry,
        )
        self._agents = Gauge(
            f"{prefix}_agents", "Agents, by the reason of their Ready condition.", ["reason"], registry=registry
        )
        self._pods = Gauge(f"{prefix}_pods", "Pods of all agents.", registry=registry)
        self._in_sync = Gauge(f"{prefix}_pods_in_sync", "Pods that run the wanted tuning and flags.", registry=registry)
        self._calls = Gauge(
            f"{prefix}_active_calls", "Live calls in all pods, as the pods last reported.", registry=registry
        )
        self._each = _OfEachAgent(registry, f"{prefix}_agent")
        self._known: dict[AgentKey, tuple[str, int, int, int]] = {}

    def set_agent(
        self, agent: AgentKey, *, reason: str, pods: int, in_sync: int, calls: int, scales: bool | None = None
    ) -> None:
        """Replace the figures of one agent. `scales`: whether its autoscaler works; None: it has none."""
        self.remove_agent(agent)
        self._known[agent] = (reason, pods, in_sync, calls)
        self._add(self._known[agent], 1)
        self._each.set(agent, reason, pods, in_sync)
        if scales is not None:
            self._each.scales.labels(*agent).set(scales)

    def remove_agent(self, agent: AgentKey) -> None:
        """Remove the figures of an agent that is deleted, or that this operator no longer reconciles."""
        known = self._known.pop(agent, None)
        if known is not None:
            self._add(known, -1)
            self._each.remove(agent, known[0])

    def _add(self, known: tuple[str, int, int, int], sign: int) -> None:
        reason, pods, in_sync, calls = known
        self._agents.labels(reason).inc(sign)
        self._pods.inc(sign * pods)
        self._in_sync.inc(sign * in_sync)
        self._calls.inc(sign * calls)

    def serve(self, port: int) -> None:
        """Serve the metrics at /metrics until the process ends."""
        start_http_server(port, registry=self.registry)


class _OfEachAgent:
    """Gauges of each agent, for alerts that name it. Prometheus's own label `namespace` is the operator's."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        whose = ["agent_namespace", "agent"]
        self._state = Gauge(
            f"{prefix}_state", "1 for the reason of the agent's Ready condition.", [*whose, "reason"], registry=registry
        )
        self._pods = Gauge(f"{prefix}_pods", "Pods of the agent.", whose, registry=registry)
        self._in_sync = Gauge(
            f"{prefix}_pods_in_sync", "Pods of the agent that run its tuning and flags.", whose, registry=registry
        )

        self.scales = Gauge(
            f"{prefix}_scaling_active",
            "1 if the agent's autoscaler reads the number of calls and sets the number of pods, else 0.",
            whose,
            registry=registry,
        )

    def set(self, agent: AgentKey, reason: str, pods: int, in_sync: int) -> None:
        self._state.labels(*agent, reason).set(1)
        self._pods.labels(*agent).set(pods)
        self._in_sync.labels(*agent).set(in_sync)

    def remove(self, agent: AgentKey, reason: str) -> None:
        self._state.remove(*agent, reason)
        self._pods.remove(*agent)
        self._in_sync.remove(*agent)
        with suppress(KeyError):  # an agent without an autoscaler has no series
            self.scales.remove(*agent)
