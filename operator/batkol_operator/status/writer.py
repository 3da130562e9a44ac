"""Writes down what a pass has found: the agent's status, Events, metrics. Nothing is written that stands there
already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from batkol_operator.errors import OperatorError
from batkol_operator.kube.client import Cluster
from batkol_operator.metrics import OperatorMetrics
from batkol_operator.status.conditions import ConditionDraft, named, read_conditions
from batkol_operator.status.events import event
from batkol_operator.status.judge import (
    FIELDS,
    READY,
    TUNING_APPLIED,
    Facts,
    Revisions,
    active_calls,
    counted_pods,
    judge,
    judge_paused,
    manifest,
    pods_in_sync,
)
from batkol_operator.status.transitions import Announcement, transitions
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.cache import AgentKey
from batkol_operator.watch.object_state import Body

CALLS_EVERY_S: Final = 15.0
"""How often `activeCalls` may change in the status: figures that change all the time belong to the metrics."""

LEAST_S: Final = 1.0
"""Between two writes of a status that differ in figures and wording: a rollout changes those many times a second."""

log = structlog.get_logger()


class Reporting:
    """What is told of one agent."""

    def __init__(
        self, agent: AgentKey, cluster: Cluster, metrics: OperatorMetrics, reporter: str, wall: Callable[[], datetime]
    ) -> None:
        self._agent = agent
        self._cluster = cluster
        self._metrics = metrics
        self._reporter = reporter
        self._wall = wall
        self._standing: Mapping[str, Any] | None = None  # the status as we last wrote it
        self.deadline: float | None = None  # when to report again what has not been written yet
        self._written_at = 0.0
        self._written = 0  # resourceVersion of the agent then; 0 where versions are no numbers
        self._calls_due = 0.0
        self._changed_at: float | None = None  # when the change was first seen that has not converged yet
        self._change: tuple[int, Revisions] | None = None

    def begin(self, body: Body, generation: int, wanted: Revisions, now: float) -> None:
        """Say what is wanted, at the beginning of a pass: from here on the time to converge counts."""
        change = (generation, wanted)
        if change == self._change:
            return
        if self._change is None:  # this process has not seen it before; it may well be an old one, long converged
            status = body.get("status") or {}
            ready = named(read_conditions(status), READY)
            if ready is not None and ready.holds and status.get("observedGeneration") == generation:
                self._change = change
                return
        self._change, self._changed_at = change, now

    async def report(self, body: Body, facts: Facts, trace: PassTrace, now: float) -> None:
        """Write what was found."""
        standing = self._before(body)
        before = read_conditions(standing)
        conditions = judge(facts, before, self._wall())
        calls = int(standing.get("activeCalls") or 0)
        if now >= self._calls_due and (found := active_calls(facts.reports)) != calls:
            calls = found
            self._calls_due = now + CALLS_EVERY_S
        await self._write(body, manifest(facts, conditions, calls), conditions, trace)
        self._count(facts, conditions)

    async def report_paused(self, body: Body, trace: PassTrace) -> None:
        """Write that the agent is left alone. What was observed of it stays as it is, and so does its generation."""
        standing = self._before(body)
        generation = int(body["metadata"].get("generation", 0))
        conditions = judge_paused(generation, read_conditions(standing), self._wall())
        await self._write(body, {**standing, "conditions": [c.manifest() for c in conditions]}, conditions, trace)
        self._change = self._changed_at = None
        self._metrics.agent(self._agent, reason=conditions[0].reason, pods=0, in_sync=0, calls=0)

    def _before(self, body: Body) -> Mapping[str, Any]:
        """What stood before: as we wrote it, for the watch may not have brought that yet."""
        return _plain(body.get("status") or {}) if self._standing is None else self._standing

    def _stands(self, body: Body, status: Mapping[str, Any]) -> bool:
        if self._standing == status and _version(body["metadata"]) < self._written:
            return True
        live = _plain(body.get("status") or {})
        return {key: live.get(key) for key in FIELDS} == {key: status.get(key) for key in FIELDS}

    async def _write(
        self, body: Body, status: Mapping[str, Any], conditions: tuple[ConditionDraft, ...], trace: PassTrace
    ) -> None:
        before, now = self._before(body), asyncio.get_running_loop().time()
        self.deadline = None
        if not self._stands(body, status):
            news = status != self._standing  # if not, somebody else has changed it
            if news and now < self._written_at + LEAST_S and _alike(before, status):
                self.deadline = self._written_at + LEAST_S
                return
            self._written_at = now
            with trace.step("status"):
                written = await self._cluster.apply_status(*self._agent, status)
            self._written = _version(written["metadata"])
        self._standing = status
        for said in transitions(read_conditions(before), conditions, _revisions(before), _revisions(status)):
            await self._announce(body, said, trace)

    async def _announce(self, body: Body, said: Announcement, trace: PassTrace) -> None:
        namespace, name = self._agent
        log.info("[OPERATOR] agent changed", namespace=namespace, agent=name, reason=said.reason, type=said.type)
        try:
            with trace.step("event", reason=said.reason):
                await self._cluster.create_event(event(body["metadata"], said, self._reporter, self._wall()))
        except OperatorError as error:  # an Event is a courtesy: the status has it all
            self._metrics.errors.labels("event").inc()
            log.warning(
                "[OPERATOR] event not written", namespace=namespace, agent=name, reason=said.reason, error=str(error)
            )

    def _count(self, facts: Facts, conditions: tuple[ConditionDraft, ...]) -> None:
        ready, applied = named(conditions, READY), named(conditions, TUNING_APPLIED)
        self._metrics.agent(
            self._agent,
            reason=ready.reason if ready else "Unknown",
            pods=len(counted_pods(facts.pods)),
            in_sync=len(pods_in_sync(facts)),
            calls=active_calls(facts.reports),
        )
        if self._changed_at is not None and ready is not None and applied is not None and ready.holds and applied.holds:
            self._metrics.converged.observe(asyncio.get_running_loop().time() - self._changed_at)
            self._changed_at = None


def _alike(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether nothing has changed that anybody waits for."""

    def essence(status: Mapping[str, Any]) -> tuple[object, ...]:
        states = [(each.type, each.state, each.reason) for each in read_conditions(status)]
        return status.get("observedGeneration"), status.get("inSync"), _revisions(status), states

    return essence(before) == essence(after)


def _plain(value: Any) -> Any:
    """Copy what may be kopf's live view, which changes while one looks at it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _version(metadata: Mapping[str, Any]) -> int:
    version = str(metadata.get("resourceVersion", ""))
    return int(version) if version.isdigit() else 0


def _revisions(status: Mapping[str, Any]) -> Revisions:
    return Revisions(str(status.get("tuningRevision") or ""), str(status.get("flagsRevision") or ""))
