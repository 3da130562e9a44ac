"""The condition ScalingActive: whether the autoscaler can read the number of calls and set the number of pods. Pure.

It is no part of Ready: without its figures an autoscaler keeps the number of pods, and these take calls.
"""

from __future__ import annotations

from typing import Final

from batkol_operator.status.conditions import ConditionDraft, ConditionState
from batkol_operator.status.facts import Facts

SCALING_ACTIVE: Final = "ScalingActive"

_LONGEST: Final = 400
"""Characters of an autoscaler's own words."""


def scaling_active(facts: Facts) -> ConditionDraft:
    """Judge by the word of the autoscaler, and of the one that KEDA makes of it."""

    def draft(state: ConditionState, reason: str, message: str) -> ConditionDraft:
        return ConditionDraft(SCALING_ACTIVE, state, reason, message, facts.generation)

    for each in facts.autoscalers:
        if each.works is False:
            why = each.message[:_LONGEST].strip().rstrip(".")
            message = f"{each.kind} {each.name} reports: {why}. The number of pods stays as it is."
            return draft(ConditionState.FALSE, each.reason or "AutoscalerFails", message)
    if not facts.autoscalers or any(each.works is None for each in facts.autoscalers):
        return draft(ConditionState.UNKNOWN, "NotReported", "The autoscaler has not reported yet.")
    names = ", ".join(f"{each.kind} {each.name}" for each in facts.autoscalers)
    return draft(ConditionState.TRUE, "ReadsCalls", f"The number of calls sets the number of pods, by {names}.")
