"""The conditions and the status of an agent, from the facts that a pass found. Pure: the time is an argument.

`Ready` is the sum: available, every pod runs the wanted configuration, not stalled, and no other client's values in
force. `Stalled` is abnormal when true: a person has to change something (the kstatus library reads it as failed).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from batkol_operator.pods.client import PodReport
from batkol_operator.quantity import quantity
from batkol_operator.status.applied import REPLY_APPLIED, TUNING_APPLIED, reply_applied, tuning_applied
from batkol_operator.status.conditions import ConditionDraft, ConditionState, find_condition, settle
from batkol_operator.status.contested import CONTESTED, contested, standing
from batkol_operator.status.facts import Facts, counted_pods, pods_in_sync
from batkol_operator.status.flag_sources import flags_merged
from batkol_operator.status.scaling import scaling_active
from batkol_operator.status.sinks import sinks_deliver
from batkol_operator.watch.object_state import PodState

READY: Final = "Ready"
AVAILABLE: Final = "Available"
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
    "replyRevision",
    "replyCalls",
    "replies",
)
"""The fields of the status that the operator writes; unknown ones are left out."""

CREATION_TIMEOUT: Final = timedelta(seconds=120)
"""Time that creating a container may take. If a Secret that a pod mounts is missing, creating never ends, and only the
pod's events show why."""


def judge(facts: Facts, before: Sequence[ConditionDraft], at: datetime) -> tuple[ConditionDraft, ...]:
    """Return all conditions, dated by comparison with the previous ones."""
    available = _available(facts)
    applied = [tuning_applied(facts)]
    # An unreadable spec says nothing of reply settings either: the condition stays, if the agent had it.
    if facts.wanted.reply or (not facts.wanted.tuning and find_condition(before, REPLY_APPLIED)):
        applied.append(reply_applied(facts))
    stalled = _stalled(facts, at)
    parts = (available, *applied)
    beside = [flags_merged(facts)] if facts.sources else []
    if facts.sinks:
        beside.append(sinks_deliver(facts))
    if facts.autoscaled:
        beside.append(scaling_active(facts))
    if facts.contests or find_condition(before, CONTESTED):
        beside.append(contested(facts))
    return settle((_ready(facts, parts, stalled), *parts, *beside, stalled), before, at)


def judge_paused(generation: int, before: Sequence[ConditionDraft], at: datetime) -> tuple[ConditionDraft, ...]:
    """Return the conditions of a paused agent: the previous ones, with Ready unknown."""
    message = (
        "The annotation batkol.dev/paused pauses reconciling: the operator changes and repairs nothing; "
        "pods and calls go on. Remove the annotation to resume."
    )
    others = tuple(condition for condition in before if condition.type != READY)
    return settle((ConditionDraft(READY, ConditionState.UNKNOWN, PAUSED, message, generation), *others), before, at)


def status_manifest(
    facts: Facts, conditions: Sequence[ConditionDraft], active_calls: int, reply_calls: int = 0
) -> dict[str, Any]:
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
    if facts.wanted.reply:
        status |= {"replyRevision": facts.wanted.reply, "replyCalls": reply_calls, "replies": facts.replies}
    return {key: value for key, value in status.items() if value != ""}


def _ready(facts: Facts, parts: Sequence[ConditionDraft], stalled: ConditionDraft) -> ConditionDraft:
    if stalled.holds:
        return ConditionDraft(READY, ConditionState.FALSE, stalled.reason, stalled.message, facts.generation)
    if (contest := standing(facts)) is not None:
        return ConditionDraft(READY, ConditionState.FALSE, CONTESTED, contest.message, facts.generation)
    for part in parts:
        if not part.holds:
            return ConditionDraft(READY, ConditionState.FALSE, part.reason, part.message, facts.generation)
    if facts.warnings:
        return ConditionDraft(
            READY, ConditionState.TRUE, READY_WITH_WARNINGS, " ".join(facts.warnings), facts.generation
        )
    applied = " ".join(each.message for each in parts if each.type == TUNING_APPLIED)
    return ConditionDraft(READY, ConditionState.TRUE, READY, f"The agent takes calls. {applied}", facts.generation)


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
        return draft(ConditionState.FALSE, "TooFewPods", _sentence(count) + _refused(facts))
    rolling = (
        f"; {rollout.updated} of {rollout.wanted} pods run the newest template"
        if rollout.updated < rollout.wanted
        else ""
    )
    return draft(ConditionState.TRUE, "EnoughPods", _sentence(count + rolling) + _refused(facts))


def _refused(facts: Facts) -> str:
    """Return the words of the first pod that a recognizer refuses, for a message; empty if there is none."""
    for pod in counted_pods(facts.pods):
        report = facts.reports.get(pod.name)
        if isinstance(report, PodReport) and report.recognizer_refusal:
            return f" {pod.name}: {report.recognizer_refusal}"
    return ""


def _stalled(facts: Facts, at: datetime) -> ConditionDraft:
    if facts.problem is not None:
        return ConditionDraft(
            STALLED, ConditionState.TRUE, facts.problem.reason, facts.problem.sentence, facts.generation
        )
    failures = [why for pod in counted_pods(facts.pods) if (why := _start_failure(pod, at))]
    if failures:
        more = f" {quantity(len(failures) - 1, 'more pod')} cannot start either." if len(failures) > 1 else ""
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
