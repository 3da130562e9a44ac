"""The conditions and the status of an agent, from the facts that a pass found. Pure: the time is an argument.

`Ready` is the sum: available, every pod runs the wanted configuration, and not stalled. `Stalled` is abnormal when
true: a person has to change something (the kstatus library reads it as failed).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from batkol_operator.pods.client import NoReport, PodReport, Report
from batkol_operator.status.conditions import ConditionDraft, ConditionState, settle
from batkol_operator.watch.object_state import PodState, Rollout

READY: Final = "Ready"
AVAILABLE: Final = "Available"
TUNING_APPLIED: Final = "TuningApplied"
STALLED: Final = "Stalled"

PAUSED: Final = "Paused"
READY_WITH_WARNINGS: Final = "ReadyWithWarnings"
CANNOT_START: Final = "PodCannotStart"

FIELDS: Final = (
    "observedGeneration",
    "conditions",
    "replicas",
    "readyReplicas",
    "selector",
    "activeCalls",
    "podsInSync",
    "inSync",
    "tuningRevision",
    "flagsRevision",
    "streaming",
)
"""The fields of the status that the operator writes; unknown ones are left out."""

CREATION_TIMEOUT: Final = timedelta(seconds=120)
"""Time that creating a container may take. If a Secret that a pod mounts is missing, creating never ends, and only the
pod's events show why."""

MAX_NAMED_PODS: Final = 3
"""Pods named in a message; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The live configuration that every pod should run."""

    tuning: str = ""
    flags: str = ""

    def __str__(self) -> str:
        return f"{self.tuning}/{self.flags}"


@dataclass(frozen=True, slots=True)
class AgentProblem:
    """A reason why the operator cannot make the agent match its spec."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of an agent in the cluster, and its wanted revisions."""

    generation: int
    wanted: Revisions
    rollout: Rollout | None
    pods: tuple[PodState, ...]
    reports: Mapping[str, Report]  # by pod name; a pod that has not been polled yet is missing
    problem: AgentProblem | None = None
    warnings: tuple[str, ...] = ()
    streaming: str = ""
    selector: str = ""


def judge(facts: Facts, before: Sequence[ConditionDraft], at: datetime) -> tuple[ConditionDraft, ...]:
    """Return all conditions, dated by comparison with the previous ones."""
    available = _available(facts)
    applied = _applied(facts)
    stalled = _stalled(facts, at)
    return settle((_ready(facts, available, applied, stalled), available, applied, stalled), before, at)


def judge_paused(generation: int, before: Sequence[ConditionDraft], at: datetime) -> tuple[ConditionDraft, ...]:
    """Return the conditions of a paused agent: the previous ones, with Ready unknown."""
    message = (
        "The annotation batkol.dev/paused pauses reconciling: the operator changes and repairs nothing; "
        "pods and calls go on. Remove the annotation to resume."
    )
    others = tuple(condition for condition in before if condition.type != READY)
    return settle((ConditionDraft(READY, ConditionState.UNKNOWN, PAUSED, message, generation), *others), before, at)


def status_manifest(facts: Facts, conditions: Sequence[ConditionDraft], active_calls: int) -> dict[str, Any]:
    """Write the status as in the object."""
    counted = counted_pods(facts.pods)
    in_sync = len(pods_in_sync(facts))
    rollout = facts.rollout
    status: dict[str, Any] = {
        "observedGeneration": facts.generation,
        "conditions": [condition.manifest() for condition in conditions],
        "replicas": rollout.replicas if rollout else 0,
        "readyReplicas": rollout.ready if rollout else 0,
        "selector": facts.selector,
        "activeCalls": active_calls,
        "podsInSync": in_sync,
        "inSync": f"{in_sync}/{len(counted)}",
        "tuningRevision": facts.wanted.tuning,
        "flagsRevision": facts.wanted.flags,
        "streaming": facts.streaming,
    }
    return {key: value for key, value in status.items() if value != ""}


def counted_pods(pods: Iterable[PodState]) -> list[PodState]:
    """Return the pods that have to run the wanted configuration: all except those that only finish their calls."""
    return [pod for pod in pods if pod.ready or not pod.terminating]


def pods_in_sync(facts: Facts) -> list[PodState]:
    """Return the counted pods that run the wanted configuration."""
    return [pod for pod in counted_pods(facts.pods) if _is_in_sync(facts.reports.get(pod.name), facts.wanted)]


def active_calls(reports: Mapping[str, Report]) -> int:
    """Add up the calls of all pods that answered, the draining ones too."""
    return sum(report.active_calls for report in reports.values() if isinstance(report, PodReport))


def _is_in_sync(report: Report | None, wanted: Revisions) -> bool:
    return (
        isinstance(report, PodReport)
        and (report.tuning_revision, report.flags_revision) == (wanted.tuning, wanted.flags)
        and not report.refusals
    )


def _ready(facts: Facts, available: ConditionDraft, applied: ConditionDraft, stalled: ConditionDraft) -> ConditionDraft:
    if stalled.holds:
        return ConditionDraft(READY, ConditionState.FALSE, stalled.reason, stalled.message, facts.generation)
    for part in (available, applied):
        if not part.holds:
            return ConditionDraft(READY, ConditionState.FALSE, part.reason, part.message, facts.generation)
    if facts.warnings:
        return ConditionDraft(
            READY, ConditionState.TRUE, READY_WITH_WARNINGS, " ".join(facts.warnings), facts.generation
        )
    return ConditionDraft(
        READY, ConditionState.TRUE, READY, f"The agent takes calls. {applied.message}", facts.generation
    )


def _available(facts: Facts) -> ConditionDraft:
    def draft(state: ConditionState, reason: str, message: str) -> ConditionDraft:
        return ConditionDraft(AVAILABLE, state, reason, message, facts.generation)

    rollout = facts.rollout
    if rollout is None:
        return draft(ConditionState.UNKNOWN, "NotCreated", "The Deployment does not exist yet.")
    count = f"{rollout.ready} of {rollout.wanted} pods are ready"
    if rollout.stuck:
        count = f"{count}; the Deployment reports: {rollout.stuck}"
    if rollout.available is None or not rollout.current:
        return draft(ConditionState.UNKNOWN, "Pending", f"The Deployment's controller has not reported yet; {count}.")
    if not rollout.available:
        return draft(ConditionState.FALSE, "TooFewPods", f"{_sentence(count)}")
    rolling = (
        f"; {rollout.updated} of {rollout.wanted} pods run the newest template"
        if rollout.updated < rollout.wanted
        else ""
    )
    return draft(ConditionState.TRUE, "EnoughPods", _sentence(count + rolling))


def _applied(facts: Facts) -> ConditionDraft:
    counted = counted_pods(facts.pods)
    if not facts.wanted.tuning:
        message = "The spec does not say which revision the pods should run; the pods keep their configuration."
        return ConditionDraft(TUNING_APPLIED, ConditionState.UNKNOWN, "NothingWanted", message, facts.generation)
    if not counted:
        return ConditionDraft(
            TUNING_APPLIED,
            ConditionState.UNKNOWN,
            "NoPods",
            "No pod exists that could run the wanted revision.",
            facts.generation,
        )
    running = {pod.name for pod in pods_in_sync(facts)}
    lagging = [pod for pod in counted if pod.name not in running]
    message = f"{len(running)} of {len(counted)} pods run revision {facts.wanted.tuning}"
    if not lagging:
        return ConditionDraft(TUNING_APPLIED, ConditionState.TRUE, "AllPods", f"{message}.", facts.generation)
    reports = [(pod, facts.reports.get(pod.name)) for pod in lagging]
    refused = any(isinstance(report, PodReport) and report.refusals for _, report in reports)
    why = [f"{pod.name} {_lag(pod, report, facts.wanted)}" for pod, report in reports]
    more = f"; {len(why) - MAX_NAMED_PODS} more lag" if len(why) > MAX_NAMED_PODS else ""
    message = f"{message}; {'; '.join(why[:MAX_NAMED_PODS])}{more}."
    return ConditionDraft(
        TUNING_APPLIED, ConditionState.FALSE, "RefusedByPods" if refused else "PodsLag", message, facts.generation
    )


def _lag(pod: PodState, report: Report | None, wanted: Revisions) -> str:
    match report:
        case None:
            return "has not been polled yet" if pod.ip else "has not started yet"
        case NoReport(why):
            return why
        case PodReport(refusals=[first, *_]):
            return f"refused the configuration: {first[:200].rstrip('.')}"
        case PodReport(tuning_revision=tuning, flags_revision=flags):
            if tuning != wanted.tuning:
                return f"lags (revision {tuning})"
            return f"lags (flags {flags or 'none'}, wanted: {wanted.flags})"


def _stalled(facts: Facts, at: datetime) -> ConditionDraft:
    if facts.problem is not None:
        return ConditionDraft(
            STALLED, ConditionState.TRUE, facts.problem.reason, facts.problem.sentence, facts.generation
        )
    failures = [why for pod in counted_pods(facts.pods) if (why := _start_failure(pod, at))]
    if failures:
        more = f" {len(failures) - 1} more pods cannot start either." if len(failures) > 1 else ""
        return ConditionDraft(STALLED, ConditionState.TRUE, CANNOT_START, failures[0] + more, facts.generation)
    return ConditionDraft(
        STALLED, ConditionState.FALSE, "NotStalled", "The operator can reconcile this agent.", facts.generation
    )


def _start_failure(pod: PodState, at: datetime) -> str:
    if pod.start_failure:
        return (
            f"Pod {pod.name} cannot start: {pod.start_failure}. Correct that; Kubernetes then starts the pod by itself."
        )
    if pod.creating_since is not None and at - pod.creating_since > CREATION_TIMEOUT:
        return (
            f"Pod {pod.name} has been creating its container since {pod.creating_since:%H:%M:%S} UTC: a Secret that it "
            f"mounts may be missing, or pulling the image is slow. `kubectl describe pod {pod.name}` shows which."
        )
    return ""


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
