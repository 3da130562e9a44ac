"""Transitions of an agent's status that become Kubernetes Events. A state that lasts makes no Event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batkol_operator.status.applied import REPLY_APPLIED, TUNING_APPLIED
from batkol_operator.status.conditions import ConditionDraft, ConditionState, find_condition
from batkol_operator.status.contested import CONTESTED, REPEATED
from batkol_operator.status.facts import Revisions
from batkol_operator.status.judge import PAUSED, READY, READY_WITH_WARNINGS, STALLED
from batkol_operator.status.scaling import SCALING_ACTIVE
from batkol_operator.status.sinks import SINKS_DELIVER


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An Event before it is written: its reason is CamelCase, its message a sentence."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def transitions(
    before: Sequence[ConditionDraft], after: Sequence[ConditionDraft], old: Revisions, new: Revisions
) -> tuple[EventDraft, ...]:
    """Return the Events for the changes from one status to the next. `old` and `new` are the wanted revisions of
    each.
    """
    drafts = (
        _of_pausing(find_condition(before, READY), find_condition(after, READY)),
        _of_stalling(find_condition(before, STALLED), find_condition(after, STALLED)),
        _of_applying(TUNING_APPLIED, before, after, changed=(old.tuning, old.flags) != (new.tuning, new.flags)),
        _of_applying(REPLY_APPLIED, before, after, changed=old.reply != new.reply),
        _of_readiness(find_condition(before, READY), find_condition(after, READY)),
        _of_working(find_condition(before, SINKS_DELIVER), find_condition(after, SINKS_DELIVER)),
        _of_working(find_condition(before, SCALING_ACTIVE), find_condition(after, SCALING_ACTIVE)),
        _of_contest(find_condition(before, CONTESTED), find_condition(after, CONTESTED)),
    )
    return tuple(each for each in drafts if each is not None)


def _of_pausing(before: ConditionDraft | None, after: ConditionDraft | None) -> EventDraft | None:
    was, is_ = _paused(before), _paused(after)
    if after is None or was == is_:
        return None
    return EventDraft(
        "Normal", "Paused" if is_ else "Resumed", after.message if is_ else "The operator reconciles this agent again."
    )


def _of_stalling(before: ConditionDraft | None, after: ConditionDraft | None) -> EventDraft | None:
    stalled = before is not None and before.holds
    if after is not None and after.holds and not (stalled and before and before.reason == after.reason):
        return EventDraft("Warning", after.reason, after.message)
    if after is not None and stalled and not after.holds:
        return EventDraft("Normal", "NoLongerStalled", "The operator can reconcile this agent again.")
    return None


def _of_applying(
    type_: str, before: Sequence[ConditionDraft], after: Sequence[ConditionDraft], *, changed: bool
) -> EventDraft | None:
    """Tell that all pods run a revision; the reason of the Event is the type of the condition."""
    was, is_ = find_condition(before, type_), find_condition(after, type_)
    if is_ is None or not is_.holds:
        return None
    if was is not None and was.holds and not changed:
        return None
    return EventDraft("Normal", type_, is_.message)


def _of_readiness(before: ConditionDraft | None, after: ConditionDraft | None) -> EventDraft | None:
    if after is None or _paused(after):
        return None
    if after.holds and after.reason == READY_WITH_WARNINGS and (before is None or before.message != after.message):
        return EventDraft("Warning", after.reason, after.message)
    was = before is not None and before.holds
    if after.holds and not was:
        return EventDraft("Normal", "Ready", after.message)
    if was and not after.holds:
        return EventDraft("Warning", "NotReady", f"{after.reason}: {after.message}")
    return None


def _of_working(before: ConditionDraft | None, after: ConditionDraft | None) -> EventDraft | None:
    was = None if before is None else before.state
    if after is None or after.state is was or after.state is ConditionState.UNKNOWN:
        return None
    return EventDraft("Normal" if after.holds else "Warning", after.reason, after.message)


def _of_contest(before: ConditionDraft | None, after: ConditionDraft | None) -> EventDraft | None:
    """Tell the first change by another client, and that it goes on; not each one of a fight."""
    was = before is not None and before.holds
    if after is not None and after.holds and not (was and before and before.reason in (after.reason, REPEATED)):
        return EventDraft("Warning", CONTESTED, after.message)
    if after is not None and was and not after.holds:
        return EventDraft("Normal", "NoLongerContested", after.message)
    return None


def _paused(ready: ConditionDraft | None) -> bool:
    return ready is not None and ready.reason == PAUSED
