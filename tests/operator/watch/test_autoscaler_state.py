"""What an autoscaler says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from batkol_operator.kube.names import AGENT
from batkol_operator.watch.autoscaler_state import AutoscalerState, read_autoscaler
from batkol_operator.watch.cache import ObjectCache

CLINIC = ("voices", "clinic")


def autoscaler(kind: str, name: str = "clinic", /, **conditions: str) -> dict[str, Any]:
    """Write one with its conditions. A state may be followed by a reason and a message: `False Failed no figures`."""
    said = [
        dict(zip(("status", "reason", "message"), state.split(" ", 2), strict=False)) for state in conditions.values()
    ]
    return {
        "apiVersion": "autoscaling/v2" if kind == "HorizontalPodAutoscaler" else "keda.sh/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "voices", "uid": name, "labels": {AGENT: "clinic"}},
        "status": {"conditions": [{"type": type_, **each} for type_, each in zip(conditions, said, strict=True)]},
    }


@pytest.mark.parametrize(
    ("found", "works"),
    [
        (autoscaler("HorizontalPodAutoscaler"), None),
        (autoscaler("HorizontalPodAutoscaler", AbleToScale="True"), None),
        (autoscaler("HorizontalPodAutoscaler", AbleToScale="True", ScalingActive="True", ScalingLimited="True"), True),
        (autoscaler("ScaledObject", Ready="True", Active="False", Fallback="False", Paused="False"), True),
        (autoscaler("ScaledObject", Ready="Unknown", Active="Unknown"), None),
        ({**autoscaler("ScaledObject"), "status": None}, None),
    ],
)
def test_one_that_sees_no_calls_works_and_one_that_has_said_nothing_is_not_judged(found: Any, works: bool) -> None:
    assert read_autoscaler(found) == AutoscalerState(found["kind"], "clinic", works)


def test_one_that_cannot_work_says_why() -> None:
    found = autoscaler(
        "HorizontalPodAutoscaler", AbleToScale="True", ScalingActive="False FailedGetPodsMetric no figures"
    )

    assert read_autoscaler(found) == AutoscalerState(
        "HorizontalPodAutoscaler", "clinic", False, "FailedGetPodsMetric", "no figures"
    )


def test_its_word_wakes_the_loop_when_it_changes_and_its_figures_do_not() -> None:
    cache = ObjectCache()
    view = cache.view(CLINIC)

    def woken(body: dict[str, Any], *, deleted: bool = False) -> bool:
        view.wake.clear()
        cache.observe(body, deleted=deleted)
        return view.wake.is_set()

    well = autoscaler("HorizontalPodAutoscaler", "keda-hpa-clinic", AbleToScale="True", ScalingActive="True")
    assert woken(well)
    assert not woken({**well, "status": {**well["status"], "currentReplicas": 3}})
    ill = autoscaler("HorizontalPodAutoscaler", "keda-hpa-clinic", AbleToScale="True", ScalingActive="False Failed why")
    assert woken(ill)
    assert [each.works for each in view.autoscalers.values()] == [False]

    assert woken(ill, deleted=True)
    assert view.autoscalers == {}
