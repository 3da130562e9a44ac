"""The conditions that are counted from the pods' own word: TuningApplied and ReplyApplied. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from batkol_operator.pods.client import NoReport, PodReport, Report
from batkol_operator.quantity import quantity
from batkol_operator.status.conditions import ConditionDraft, ConditionState
from batkol_operator.status.facts import Facts, Revisions, counted_pods
from batkol_operator.watch.object_state import PodState

TUNING_APPLIED: Final = "TuningApplied"
REPLY_APPLIED: Final = "ReplyApplied"

MAX_NAMED_PODS: Final = 3
"""Pods named in a message; the others are only counted."""


def tuning_applied(facts: Facts) -> ConditionDraft:
    """Judge whether every pod runs the wanted tuning and flags."""
    return _applied(facts, TUNING_APPLIED, facts.wanted.tuning, facts.wanted.tuning_runs, _tuning_lag)


def reply_applied(facts: Facts) -> ConditionDraft:
    """Judge whether every pod runs the wanted reply settings."""
    return _applied(facts, REPLY_APPLIED, facts.wanted.reply, facts.wanted.reply_runs, _reply_lag)


def _applied(
    facts: Facts,
    type_: str,
    revision: str,
    runs: Callable[[Report | None], bool],
    lag: Callable[[PodReport, Revisions], str],
) -> ConditionDraft:
    def draft(state: ConditionState, reason: str, message: str) -> ConditionDraft:
        return ConditionDraft(type_, state, reason, message, facts.generation)

    counted = counted_pods(facts.pods)
    if not revision:
        message = "The spec does not say which revision the pods should run; the pods keep their configuration."
        return draft(ConditionState.UNKNOWN, "NothingWanted", message)
    if not counted:
        return draft(ConditionState.UNKNOWN, "NoPods", "No pod exists that could run the wanted revision.")
    lagging = [pod for pod in counted if not runs(facts.reports.get(pod.name))]
    message = f"{len(counted) - len(lagging)} of {len(counted)} pods run revision {revision}"
    if not lagging:
        return draft(ConditionState.TRUE, "AllPods", f"{message}.")
    why = [_lag(pod, facts.reports.get(pod.name), facts.wanted, lag) for pod in lagging]
    refused = any(is_refusal for _, is_refusal in why)
    more = f"; {quantity(len(why) - MAX_NAMED_PODS, 'more lags', 'more lag')}" if len(why) > MAX_NAMED_PODS else ""
    named = "; ".join(sentence for sentence, _ in why[:MAX_NAMED_PODS])
    return draft(ConditionState.FALSE, "RefusedByPods" if refused else "PodsLag", f"{message}; {named}{more}.")


def _lag(
    pod: PodState, report: Report | None, wanted: Revisions, lag: Callable[[PodReport, Revisions], str]
) -> tuple[str, bool]:
    """Return why a pod lags, and whether it refused something."""
    match report:
        case None:
            why = "has not been polled yet" if pod.ip else "has not started yet"
        case NoReport(why):
            pass
        case PodReport():
            why = lag(report, wanted)
            return f"{pod.name} {why}", why.startswith(_REFUSED)
    return f"{pod.name} {why}", False


_REFUSED: Final = "refused the configuration"


def _tuning_lag(report: PodReport, wanted: Revisions) -> str:
    if report.refusals:
        return _refusal(report.refusals)
    if report.tuning_revision != wanted.tuning:
        return f"lags (revision {report.tuning_revision})"
    return f"lags (flags {report.flags_revision or 'none'}, wanted: {wanted.flags})"


def _reply_lag(report: PodReport, _: Revisions) -> str:
    if report.reply_refusals:
        return _refusal(report.reply_refusals)
    if not report.reply_revision:
        return "runs a version of the service that knows no reply settings"
    return f"lags (revision {report.reply_revision})"


def _refusal(refusals: tuple[str, ...]) -> str:
    return f"{_REFUSED}: {refusals[0][:200].rstrip('.')}"
