"""The condition Contested: whether another client changes fields that the operator owns. Pure.

It is abnormal when true, and an agent has it from the first contest on. `Ready` is false as long as another client's
values stand.
"""

from __future__ import annotations

from typing import Final

from batkol_operator.quantity import quantity
from batkol_operator.status.conditions import ConditionDraft, ConditionState
from batkol_operator.status.facts import Contest, Facts

CONTESTED: Final = "Contested"
SET_BACK: Final = "SetBack"
REPEATED: Final = "ChangedRepeatedly"

MAX_OBJECTS: Final = 3
"""Objects named in the message; the others are only counted."""

MAX_FIELDS: Final = 3


def contested(facts: Facts) -> ConditionDraft:
    """Judge by the contests that are not over."""

    def draft(state: ConditionState, reason: str, message: str) -> ConditionDraft:
        return ConditionDraft(CONTESTED, state, reason, message, facts.generation)

    if not facts.contests:
        message = "No other client has changed the operator's fields for ten minutes."
        return draft(ConditionState.FALSE, "NotContested", message)
    first = sorted(facts.contests, key=lambda each: -each.times)
    others = len(first) - MAX_OBJECTS
    more = f" {quantity(others, 'more object was', 'more objects were')} changed." if others > 0 else ""
    message = f"{' '.join(map(_sentence, first[:MAX_OBJECTS]))}{more} {_remedy(first[0])}"
    return draft(ConditionState.TRUE, REPEATED if any(each.wait_s for each in first) else SET_BACK, message)


def standing(facts: Facts) -> ConditionDraft | None:
    """Return the condition if another client's values stand, so that the agent is not as its spec says."""
    return contested(facts) if any(each.stands for each in facts.contests) else None


def _sentence(contest: Contest) -> str:
    who = " and ".join(contest.managers) or "A client"
    how = "sets it back"
    if contest.deleted:
        what, how = f"{who} deleted {contest.name}", "makes it again"
    elif contest.fields:
        others = len(contest.fields) - MAX_FIELDS
        more = f" and {quantity(others, 'more field')}" if others > 0 else ""
        what = f"{who} changed {', '.join(contest.fields[:MAX_FIELDS])}{more} of {contest.name}"
    else:
        what, how = f"{who} removed fields of {contest.name}", "sets them back"
    if not contest.wait_s:
        return f"{what}. The operator {how} at once."
    return f"{what}, {quantity(contest.times, 'time')}. The operator {how}, at most every {contest.wait_s:.0f} s."


def _remedy(contest: Contest) -> str:
    if ".spec.replicas" in contest.fields:
        return "Set `scaling` of the VoiceAgent instead: `replicas`, or `minReplicas` and `maxReplicas`."
    if contest.wait_s:
        return "Stop that client from writing what the VoiceAgent decides, or pause the agent: docs/kubernetes.md."
    return "Change the VoiceAgent instead."
