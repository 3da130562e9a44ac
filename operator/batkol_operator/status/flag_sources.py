"""The condition FlagsMerged: whether all flags of the FeatureFlags in `spec.flagsFrom` are the agent's flags. Pure.

It is no part of Ready: what is left out has another definition in force, or none, as before.
"""

from __future__ import annotations

from typing import Final

from batkol_operator.quantity import quantity
from batkol_operator.status.conditions import ConditionDraft, ConditionState
from batkol_operator.status.facts import Facts

FLAGS_MERGED: Final = "FlagsMerged"

MAX_FAULTS: Final = 5
"""Sentences in the message; the others are only counted."""


def flags_merged(facts: Facts) -> ConditionDraft:
    """Judge by the merge that the plan made."""

    def draft(state: ConditionState, reason: str, message: str) -> ConditionDraft:
        return ConditionDraft(FLAGS_MERGED, state, reason, message, facts.generation)

    faults, flags = facts.merged.faults, quantity(len(facts.merged.flags), "flag comes", "flags come")
    if not faults:
        message = f"{flags} from the FeatureFlags {', '.join(sorted(facts.sources))}."
        return draft(ConditionState.TRUE, "AllFlags", message)
    more = f" {quantity(len(faults) - MAX_FAULTS, 'more is', 'more are')} left out." if len(faults) > MAX_FAULTS else ""
    message = f"{' '.join(faults[:MAX_FAULTS])}{more} {flags} from FeatureFlags."
    return draft(ConditionState.FALSE, "FlagsLeftOut", message)
