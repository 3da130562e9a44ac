"""The condition ScalingActive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from batkol_operator.status.conditions import ConditionState, find_condition
from batkol_operator.status.facts import Facts, Revisions
from batkol_operator.status.judge import judge
from batkol_operator.status.scaling import scaling_active
from batkol_operator.status.transitions import transitions
from batkol_operator.watch.autoscaler_state import AutoscalerState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OURS = AutoscalerState("ScaledObject", "clinic", True)
KEDAS = AutoscalerState("HorizontalPodAutoscaler", "keda-hpa-clinic", True)
BLIND = replace(KEDAS, works=False, reason="FailedGetExternalMetric", message="no figures.\n")
FACTS = Facts(4, Revisions("a", "f"), None, (), {}, autoscaled=True, autoscalers=(OURS, KEDAS))


def test_all_that_scale_the_pods_must_work() -> None:
    well = scaling_active(FACTS)
    assert (well.state, well.reason) == (ConditionState.TRUE, "ReadsCalls")
    assert well.message == (
        "The number of calls sets the number of pods, by ScaledObject clinic, HorizontalPodAutoscaler keda-hpa-clinic."
    )

    ill = scaling_active(replace(FACTS, autoscalers=(OURS, BLIND)))
    assert (ill.state, ill.reason) == (ConditionState.FALSE, "FailedGetExternalMetric")
    assert ill.message == (
        "HorizontalPodAutoscaler keda-hpa-clinic reports: no figures. The number of pods stays as it is."
    )

    for silent in ((), (OURS, replace(KEDAS, works=None))):
        assert scaling_active(replace(FACTS, autoscalers=silent)).state is ConditionState.UNKNOWN


def test_an_agent_with_a_fixed_number_of_pods_has_no_such_condition() -> None:
    fixed = judge(replace(FACTS, autoscaled=False, autoscalers=(BLIND,)), (), NOON)

    assert find_condition(fixed, "ScalingActive") is None


def test_it_is_no_part_of_ready_and_makes_an_event_when_it_changes() -> None:
    well, ill = judge(FACTS, (), NOON), judge(replace(FACTS, autoscalers=(OURS, BLIND)), (), NOON)

    assert find_condition(well, "Ready") == find_condition(ill, "Ready")
    revisions = FACTS.wanted
    (lost,) = transitions(well, ill, revisions, revisions)
    assert (lost.type, lost.reason) == ("Warning", "FailedGetExternalMetric")
    assert transitions(ill, ill, revisions, revisions) == ()
    (found,) = transitions(ill, well, revisions, revisions)
    assert (found.type, found.reason) == ("Normal", "ReadsCalls")
