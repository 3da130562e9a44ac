"""The writer of an agent's status, Events and metrics at the end of a pass. A status that the agent already has is not
written.
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
from batkol_operator.status.applied import TUNING_APPLIED
from batkol_operator.status.conditions import ConditionDraft, find_condition, read_conditions
from batkol_operator.status.events import event_manifest
from batkol_operator.status.facts import (
    Facts,
    Revisions,
    active_calls,
    counted_pods,
    pods_in_sync,
    reply_calls,
)
from batkol_operator.status.judge import FIELDS, READY, judge, judge_paused, status_manifest
from batkol_operator.status.scaling import SCALING_ACTIVE
from batkol_operator.status.transitions import EventDraft, transitions
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.cache import AgentKey
from batkol_operator.watch.object_state import Body

CALLS_INTERVAL_S: Final = 15.0
"""Seconds between two changes of `activeCalls` in the status; the metrics have it sooner."""

WRITE_INTERVAL_S: Final = 1.0
"""Seconds between two writes that differ in figures and messages only: a rollout changes those many times a second."""

log = structlog.get_logger()


class StatusWriter:
    """The status, Events and metrics of one agent."""

    def __init__(
        self,
        agent: AgentKey,
        cluster: Cluster,
        metrics: OperatorMetrics,
        pod_name: str,
        utc_now: Callable[[], datetime],
    ) -> None:
        self._agent = agent
        self._cluster = cluster
        self._metrics = metrics
        self._pod_name = pod_name
        self._utc_now = utc_now
        self._last_written: Mapping[str, Any] | None = None  # the status as we last wrote it
        self.deadline: float | None = None  # time to write a status that was held back; None: nothing was
        self._written_at = 0.0
        self._written = 0  # resourceVersion of the agent then; 0 if versions are not numbers
        self._calls_due = 0.0
        self._changed_at: float | None = None  # first observation of a change that has not converged yet
        self._change: tuple[int, Revisions] | None = None

    def begin_pass(self, body: Body, generation: int, wanted: Revisions, now: float) -> None:
        """Record the wanted state at the beginning of a pass: the time to converge runs from its first change."""
        change = (generation, wanted)
        if change == self._change:
            return
        if self._change is None:  # the first pass of this process: the change may have converged long ago
            status = body.get("status") or {}
            ready = find_condition(read_conditions(status), READY)
            if ready is not None and ready.holds and status.get("observedGeneration") == generation:
                self._change = change
                return
        self._change, self._changed_at = change, now

    async def write(self, body: Body, facts: Facts, trace: PassTrace, now: float) -> None:
        """Write the status for these facts, its Events and metrics. Raises `RefusedError`, `UnreachableError`."""
        previous = self._previous(body)
        before = read_conditions(previous)
        conditions = judge(facts, before, self._utc_now())
        calls = tuple(int(previous.get(name) or 0) for name in ("activeCalls", "replyCalls"))
        if now >= self._calls_due and (found := (active_calls(facts.reports), reply_calls(facts))) != calls:
            calls = found
            self._calls_due = now + CALLS_INTERVAL_S
        await self._write(body, status_manifest(facts, conditions, *calls), conditions, trace)
        self._update_metrics(facts, conditions)

    async def write_paused(self, body: Body, trace: PassTrace) -> None:
        """Write that the agent is paused. All other fields of the status stay, `observedGeneration` too."""
        previous = self._previous(body)
        generation = int(body["metadata"].get("generation", 0))
        conditions = judge_paused(generation, read_conditions(previous), self._utc_now())
        await self._write(body, {**previous, "conditions": [c.manifest() for c in conditions]}, conditions, trace)
        self._change = self._changed_at = None
        self._metrics.set_agent(self._agent, reason=conditions[0].reason, pods=0, in_sync=0, calls=0)

    def _previous(self, body: Body) -> Mapping[str, Any]:
        """The previous status, as this process wrote it: the watch may not show that one yet."""
        return _plain(body.get("status") or {}) if self._last_written is None else self._last_written

    def _is_current(self, body: Body, status: Mapping[str, Any]) -> bool:
        if self._last_written == status and _version(body["metadata"]) < self._written:
            return True
        live = _plain(body.get("status") or {})
        return {key: live.get(key) for key in FIELDS} == {key: status.get(key) for key in FIELDS}

    async def _write(
        self, body: Body, status: Mapping[str, Any], conditions: tuple[ConditionDraft, ...], trace: PassTrace
    ) -> None:
        before, now = self._previous(body), asyncio.get_running_loop().time()
        self.deadline = None
        if not self._is_current(body, status):
            changed = status != self._last_written  # if not, another client changed the agent's status
            if changed and now < self._written_at + WRITE_INTERVAL_S and _differ_only_in_figures(before, status):
                self.deadline = self._written_at + WRITE_INTERVAL_S
                return
            self._written_at = now
            with trace.step("status"):
                written = await self._cluster.apply_status(*self._agent, status)
            self._written = _version(written["metadata"])
        self._last_written = status
        for draft in transitions(read_conditions(before), conditions, _revisions(before), _revisions(status)):
            await self._create_event(body, draft, trace)

    async def _create_event(self, body: Body, draft: EventDraft, trace: PassTrace) -> None:
        namespace, name = self._agent
        log.info("[OPERATOR] agent changed", namespace=namespace, agent=name, reason=draft.reason, type=draft.type)
        try:
            with trace.step("event", reason=draft.reason):
                await self._cluster.create_event(
                    event_manifest(body["metadata"], draft, self._pod_name, self._utc_now())
                )
        except OperatorError as error:  # an Event is optional: the status has the same facts
            self._metrics.errors.labels("event").inc()
            log.warning(
                "[OPERATOR] event not written", namespace=namespace, agent=name, reason=draft.reason, error=str(error)
            )

    def _update_metrics(self, facts: Facts, conditions: tuple[ConditionDraft, ...]) -> None:
        ready, applied = find_condition(conditions, READY), find_condition(conditions, TUNING_APPLIED)
        scaling = find_condition(conditions, SCALING_ACTIVE)
        self._metrics.set_agent(
            self._agent,
            reason=ready.reason if ready else "Unknown",
            pods=len(counted_pods(facts.pods)),
            in_sync=len(pods_in_sync(facts)),
            calls=active_calls(facts.reports),
            scales=None if scaling is None else scaling.holds,
        )
        if self._changed_at is not None and ready is not None and applied is not None and ready.holds and applied.holds:
            self._metrics.converged.observe(asyncio.get_running_loop().time() - self._changed_at)
            self._changed_at = None


def _differ_only_in_figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether conditions, generation and revisions are equal, so that the write may wait."""

    def essence(status: Mapping[str, Any]) -> tuple[object, ...]:
        states = [(each.type, each.state, each.reason) for each in read_conditions(status)]
        return status.get("observedGeneration"), status.get("inSync"), _revisions(status), states

    return essence(before) == essence(after)


def _plain(value: Any) -> Any:
    """Copy kopf's live view, which changes while it is read."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _version(metadata: Mapping[str, Any]) -> int:
    version = str(metadata.get("resourceVersion", ""))
    return int(version) if version.isdigit() else 0


def _revisions(status: Mapping[str, Any]) -> Revisions:
    fields = ("tuningRevision", "flagsRevision", "replyRevision")
    return Revisions(*(str(status.get(name) or "") for name in fields))
