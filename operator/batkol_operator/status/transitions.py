"""Transitions that deserve a Kubernetes Event: something has changed, never that it still is so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batkol_operator.status.conditions import ConditionDraft, named
from batkol_operator.status.judge import PAUSED, READY, READY_WITH_WARNINGS, STALLED, TUNING_APPLIED, Revisions


@dataclass(frozen=True, slots=True)
class Announcement:
    """An Event to be: its reason is CamelCase, its message a sentence."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def transitions(
    before: Sequence[ConditionDraft], after: Sequence[ConditionDraft], old: Revisions, new: Revisions
) -> tuple[Announcement, ...]:
    """Return what has changed from one settled status to the next. `old` and `new` are the revisions wanted then
    and now.
    """
    told = (
        _of_pausing(named(before, READY), named(after, READY)),
        _of_stalling(named(before, STALLED), named(after, STALLED)),
        _of_tuning(named(before, TUNING_APPLIED), named(after, TUNING_APPLIED), changed=old != new),
        _of_readiness(named(before, READY), named(after, READY)),
    )
    return tuple(each for each in told if each is not None)


def _of_pausing(before: ConditionDraft | None, after: ConditionDraft | None) -> Announcement | None:
    was, is_ = _paused(before), _paused(after)
    if after is None or was == is_:
        return None
    return Announcement("Normal", "Paused" if is_ else "Resumed", after.message if is_ else "Reconciling goes on.")


def _of_stalling(before: ConditionDraft | None, after: ConditionDraft | None) -> Announcement | None:
    stalled = before is not None and before.holds
    if after is not None and after.holds and not (stalled and before and before.reason == after.reason):
        return Announcement("Warning", after.reason, after.message)
    if after is not None and stalled and not after.holds:
        return Announcement("Normal", "NoLongerStalled", "What kept this agent from being reconciled is gone.")
    return None


def _of_tuning(before: ConditionDraft | None, after: ConditionDraft | None, *, changed: bool) -> Announcement | None:
    if after is None or not after.holds:
        return None
    if before is not None and before.holds and not changed:
        return None
    return Announcement("Normal", "TuningApplied", after.message)


def _of_readiness(before: ConditionDraft | None, after: ConditionDraft | None) -> Announcement | None:
    if after is None or _paused(after):
        return None
    if after.holds and after.reason == READY_WITH_WARNINGS and (before is None or before.message != after.message):
        return Announcement("Warning", after.reason, after.message)
    was = before is not None and before.holds
    if after.holds and not was:
        return Announcement("Normal", "Ready", after.message)
    if was and not after.holds:
        return Announcement("Warning", "NotReady", f"{after.reason}: {after.message}")
    return None


def _paused(ready: ConditionDraft | None) -> bool:
    return ready is not None and ready.reason == PAUSED
