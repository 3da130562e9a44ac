from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from batkol_operator.resources.plan import plan
from batkol_operator.resources.scaling import ACTIVE_CALLS
from support.kube.manifests import kinds, one
from support.operators.agents import AROUND, agent

KEDA = {"maxReplicas": 20, "autoscaler": "ScaledObject", "prometheusUrl": "http://prometheus:9090"}
BARE = dataclasses.replace(AROUND, kinds=frozenset())


@pytest.mark.parametrize(("scaling", "replicas"), [({}, 2), ({"replicas": 0}, 0), ({"replicas": 7}, 7)])
def test_a_fixed_number_is_the_deployments(scaling: dict[str, Any], replicas: int) -> None:
    wanted = plan(agent(scaling=scaling), AROUND)

    assert one(wanted, "Deployment")["spec"]["replicas"] == replicas
    assert not {"HorizontalPodAutoscaler", "ScaledObject"} & set(kinds(wanted))


@pytest.mark.parametrize("scaling", [{"maxReplicas": 20}, KEDA])
def test_what_an_autoscaler_owns_is_not_in_the_deployment(scaling: dict[str, Any]) -> None:
    """Every apply would set it back."""
    assert "replicas" not in one(plan(agent(scaling=scaling), AROUND), "Deployment")["spec"]


def test_the_autoscaler_aims_at_calls_in_each_pod() -> None:
    spec = one(plan(agent(scaling={"minReplicas": 3, "maxReplicas": 20}), AROUND), "HorizontalPodAutoscaler")["spec"]

    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 20)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reception"}
    (metric,) = spec["metrics"]
    assert metric["pods"]["metric"]["name"] == "batkol_calls_active"
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "70"}


@pytest.mark.parametrize(
    ("scaling", "calls", "aim"),
    [({}, {}, "70"), ({"callsPerPod": 40}, {}, "40"), ({}, {"maxPerPod": 1}, "1"), ({}, {"maxPerPod": 250}, "175")],
)
def test_seven_tenths_of_a_full_pod_unless_said_otherwise(
    scaling: dict[str, int], calls: dict[str, int], aim: str
) -> None:
    wanted = plan(agent(scaling={"maxReplicas": 5, **scaling}, calls=calls), AROUND)

    (metric,) = one(wanted, "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["pods"]["target"]["averageValue"] == aim


def test_one_pod_at_most_is_one_at_least() -> None:
    spec = one(plan(agent(scaling={"maxReplicas": 1}), AROUND), "HorizontalPodAutoscaler")["spec"]

    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 1)


@pytest.mark.parametrize("scaling", [{"maxReplicas": 20}, KEDA])
def test_pods_come_at_once_and_go_slowly(scaling: dict[str, Any]) -> None:
    wanted = plan(agent(scaling=scaling), AROUND)
    if "ScaledObject" in kinds(wanted):
        behavior = one(wanted, "ScaledObject")["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    else:
        behavior = one(wanted, "HorizontalPodAutoscaler")["spec"]["behavior"]

    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 600
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_the_time_before_a_pod_goes_is_the_specs() -> None:
    scaling = {"maxReplicas": 20, "scaleDownStabilizationSeconds": 1800}
    spec = one(plan(agent(scaling=scaling), AROUND), "HorizontalPodAutoscaler")["spec"]

    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 1800


def test_keda_asks_prometheus_for_the_calls_of_this_agent() -> None:
    spec = one(plan(agent(scaling=KEDA), AROUND), "ScaledObject")["spec"]
    (trigger,) = spec["triggers"]

    assert trigger["type"] == "prometheus"
    assert trigger["metadata"]["serverAddress"] == "http://prometheus:9090"
    assert trigger["metadata"]["threshold"] == "70"
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 20)
    found = re.fullmatch(r'sum\((\w+)\{namespace="voice",pod=~"(.*)"\}\)', trigger["metadata"]["query"])
    assert found is not None
    assert found.group(1) == ACTIVE_CALLS
    assert re.fullmatch(found.group(2), "reception-6d5f9c7b8d-x2k4v")
    assert not re.fullmatch(found.group(2), "reception-two-6d5f9c7b8d-x2k4v")
    assert not re.fullmatch(found.group(2), "my-reception-6d5f9c7b8d-x2k4v")


def test_without_keda_its_fewest_pods_run_and_it_is_said() -> None:
    wanted = plan(agent(scaling={**KEDA, "minReplicas": 4}), BARE)

    assert "ScaledObject" not in kinds(wanted)
    assert one(wanted, "Deployment")["spec"]["replicas"] == 4
    (warning,) = wanted.warnings
    assert warning.startswith("`scaling.autoscaler` is ScaledObject, but this cluster has no KEDA: 4 pods run")


@pytest.mark.parametrize(("present", "replicas"), [(0, 4), (3, 4), (11, 11), (40, 20)])
def test_without_keda_the_pods_that_are_there_stay_within_the_bounds(present: int, replicas: int) -> None:
    wanted = plan(agent(scaling={**KEDA, "minReplicas": 4}), dataclasses.replace(BARE, pods=present))

    assert one(wanted, "Deployment")["spec"]["replicas"] == replicas
    assert f"{replicas} pods run" in wanted.warnings[0]
