"""The condition SinksDeliver: whether the events of the agent's calls reach their receivers. Pure.

It is no part of Ready: a receiver that is down costs no call anything, and its events wait in the database.
"""

from __future__ import annotations

from typing import Final

from batkol_operator.pods.client import PodReport, SinkReport
from batkol_operator.quantity import quantity
from batkol_operator.status.applied import MAX_NAMED_PODS
from batkol_operator.status.conditions import ConditionDraft, ConditionState
from batkol_operator.status.facts import Facts

SINKS_DELIVER: Final = "SinksDeliver"

_HOLDS: Final = "delivering"
"""The state of a sink at the pod that hands its events on: `batkol.sinks.statistics.SinkState` of the service."""

_LONGEST: Final = 200
"""Characters of a receiver's fault."""


def sinks_deliver(facts: Facts) -> ConditionDraft:
    """Judge by the word of the pods whether each sink of the spec delivers."""

    def draft(state: ConditionState, reason: str, message: str) -> ConditionDraft:
        return ConditionDraft(SINKS_DELIVER, state, reason, message, facts.generation)

    reports = [report for report in facts.reports.values() if isinstance(report, PodReport)]
    if not reports:
        return draft(ConditionState.UNKNOWN, "NoPods", "No pod has said yet how the sinks are.")
    faults = {name: why for name in facts.sinks if (why := _fault([each.sinks.get(name) for each in reports]))}
    if not faults:
        return draft(ConditionState.TRUE, "AllSinks", f"The events reach {', '.join(facts.sinks)}.")
    others = len(faults) - MAX_NAMED_PODS
    more = f" {quantity(others, 'more sink does', 'more sinks do')} not deliver." if others > 0 else ""
    named = " ".join(f"Sink {name}: {why}." for name, why in list(faults.items())[:MAX_NAMED_PODS])
    return draft(ConditionState.FALSE, "SinksFail", f"{named}{more} The events wait; calls go on.")


def _fault(told: list[SinkReport | None]) -> str:
    """Return why a sink does not deliver, a clause; "" if it does. Of all pods one hands the events on."""
    known = [each for each in told if each is not None]
    if not known:
        return "no pod runs with it yet"
    holders = [each for each in known if each.state == _HOLDS]
    if holders:  # two for a moment, when one has lost its connection; of partials every pod
        return min(each.fault for each in holders)[:_LONGEST].rstrip(".")
    why = next((each.fault for each in known if each.fault), "")
    return f"no pod hands its events on{f' ({why[:_LONGEST]})' if why else ''}".rstrip(".")
