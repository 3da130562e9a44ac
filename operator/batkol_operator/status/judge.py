"""From what was found to what the agent's status says. Pure: the clock is handed in.

`Ready` sums up: available, everything that is wanted runs in every pod, and nothing is stalled. `Stalled` is abnormal
when true and means that somebody has to change something (the kstatus library reads it as failed).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from batkol_operator.pods.client import PodReport, Report, Silence
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
"""All that is written; what is unknown is left out."""

CREATION_PATIENCE: Final = timedelta(seconds=120)
"""A secret that a pod mounts and that is missing shows only in the pod's events: the container is created for ever."""

MOST_NAMED: Final = 3
"""Pods named in a message; the others are counted."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The live configuration that every pod should run."""

    tuning: str = ""
    flags: str = ""

    def __str__(self) -> str:
        return f"{self.tuning}/{self.flags}"


@dataclass(frozen=True, slots=True)
class AgentProblem:
    """Why the agent cannot be made what its spec says."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found of an agent, and what is wanted of it."""

    generation: int
    wanted: Revisions
    rollout: Rollout | None
    pods: tuple[PodState, ...]
    reports: Mapping[str, Report]  # by pod; a pod that has not been asked yet is missing
    problem: AgentProblem | None = None
    warnings: tuple[str, ...] = ()
    streaming: str = ""
    selector: str = ""


def judge(facts: Facts, before: Sequence[ConditionDraft], at: datetime) -> tuple[ConditionDraft, ...]:
    """Return all conditions, dated against those that stood before."""
    available = _available(facts)
    applied = _applied(facts)
    stalled = _stalled(facts, at)
    return settle((_ready(facts, available, applied, stalled), available, applied, stalled), before, at)


def judge_paused(generation: int, before: Sequence[ConditionDraft], at: datetime) -> tuple[ConditionDraft, ...]:
    """Return the conditions of an agent that is left alone: what stood before, and that nobody looks after it now."""
    message = (
        "Reconciling is paused by the annotation batkol.dev/paused: nothing is changed and nothing repaired; "
        "pods and calls go on. Remove the annotation to resume."
    )
    others = tuple(condition for condition in before if condition.type != READY)
    return settle((ConditionDraft(READY, ConditionState.UNKNOWN, PAUSED, message, generation), *others), before, at)


def manifest(facts: Facts, conditions: Sequence[ConditionDraft], active_calls: int) -> dict[str, Any]:
    """Write the status as it stands in the object."""
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
    """Return the pods that have to run what is wanted: all but those that only end their calls."""
    return [pod for pod in pods if pod.ready or not pod.terminating]


def pods_in_sync(facts: Facts) -> list[PodState]:
    """Return those of them that do."""
    return [pod for pod in counted_pods(facts.pods) if _runs(facts.reports.get(pod.name), facts.wanted)]


def active_calls(reports: Mapping[str, Report]) -> int:
    """Sum up the calls of all pods that answered, the draining ones too."""
    return sum(report.active_calls for report in reports.values() if isinstance(report, PodReport))


def _runs(report: Report | None, wanted: Revisions) -> bool:
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
    return ConditionDraft(READY, ConditionState.TRUE, READY, f"Takes calls. {applied.message}", facts.generation)


def _available(facts: Facts) -> ConditionDraft:
    def so(state: ConditionState, reason: str, message: str) -> ConditionDraft:
        return ConditionDraft(AVAILABLE, state, reason, message, facts.generation)

    rollout = facts.rollout
    if rollout is None:
        return so(ConditionState.UNKNOWN, "NotCreated", "The Deployment does not exist yet.")
    count = f"{rollout.ready} of {rollout.wanted} pods are ready"
    if rollout.stuck:
        count = f"{count}; the Deployment says: {rollout.stuck}"
    if rollout.available is None or not rollout.current:
        return so(ConditionState.UNKNOWN, "Pending", f"The Deployment's controller has not reported yet; {count}.")
    if not rollout.available:
        return so(ConditionState.FALSE, "TooFewPods", f"{_sentence(count)}")
    rolling = (
        f"; {rollout.updated} of {rollout.wanted} run the newest template" if rollout.updated < rollout.wanted else ""
    )
    return so(ConditionState.TRUE, "EnoughPods", _sentence(count + rolling))


def _applied(facts: Facts) -> ConditionDraft:
    counted = counted_pods(facts.pods)
    if not facts.wanted.tuning:
        message = "What the pods should run cannot be told from the spec; they go on as they are."
        return ConditionDraft(TUNING_APPLIED, ConditionState.UNKNOWN, "NothingWanted", message, facts.generation)
    if not counted:
        return ConditionDraft(
            TUNING_APPLIED, ConditionState.UNKNOWN, "NoPods", "No pod runs that could take it.", facts.generation
        )
    running = {pod.name for pod in pods_in_sync(facts)}
    lagging = [pod for pod in counted if pod.name not in running]
    message = f"{len(running)} of {len(counted)} pods run revision {facts.wanted.tuning}"
    if not lagging:
        return ConditionDraft(TUNING_APPLIED, ConditionState.TRUE, "AllPods", f"{message}.", facts.generation)
    reports = [(pod, facts.reports.get(pod.name)) for pod in lagging]
    refused = any(isinstance(report, PodReport) and report.refusals for _, report in reports)
    why = [f"{pod.name} {_lag(pod, report, facts.wanted)}" for pod, report in reports]
    more = f"; {len(why) - MOST_NAMED} more lag" if len(why) > MOST_NAMED else ""
    message = f"{message}; {'; '.join(why[:MOST_NAMED])}{more}."
    return ConditionDraft(
        TUNING_APPLIED, ConditionState.FALSE, "RefusedByPods" if refused else "PodsLag", message, facts.generation
    )


def _lag(pod: PodState, report: Report | None, wanted: Revisions) -> str:
    match report:
        case None:
            return "has not been asked yet" if pod.ip else "has not started yet"
        case Silence(why):
            return why
        case PodReport(refusals=[first, *_]):
            return f"refused it: {first[:200].rstrip('.')}"
        case PodReport(tuning_revision=tuning, flags_revision=flags):
            if tuning != wanted.tuning:
                return f"lags (revision {tuning})"
            return f"lags (flags {flags or 'none'}, wanted {wanted.flags})"


def _stalled(facts: Facts, at: datetime) -> ConditionDraft:
    if facts.problem is not None:
        return ConditionDraft(
            STALLED, ConditionState.TRUE, facts.problem.reason, facts.problem.sentence, facts.generation
        )
    trouble = [why for pod in counted_pods(facts.pods) if (why := _trouble(pod, at))]
    if trouble:
        more = f" {len(trouble) - 1} more pods cannot start either." if len(trouble) > 1 else ""
        return ConditionDraft(STALLED, ConditionState.TRUE, CANNOT_START, trouble[0] + more, facts.generation)
    return ConditionDraft(
        STALLED, ConditionState.FALSE, "NotStalled", "Nothing keeps it from being reconciled.", facts.generation
    )


def _trouble(pod: PodState, at: datetime) -> str:
    if pod.trouble:
        return f"Pod {pod.name}, {pod.trouble}. It is tried again by itself once that is put right."
    if pod.coming_since is not None and at - pod.coming_since > CREATION_PATIENCE:
        return (
            f"Pod {pod.name} is creating its container since {pod.coming_since:%H:%M:%S} UTC: a secret it mounts may "
            f"be missing, or the image is slow to come. `kubectl describe pod {pod.name}` says which."
        )
    return ""


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
