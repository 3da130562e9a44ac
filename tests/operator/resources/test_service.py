"""The Services, the PodDisruptionBudget and the PodMonitor."""

from __future__ import annotations

import dataclasses

import pytest

from batkol_operator.resources.plan import plan
from support.kube.manifests import kinds, one, variables
from support.operators.agents import AROUND, agent

BARE = dataclasses.replace(AROUND, kinds=frozenset())


def test_the_service_has_both_ports_by_name() -> None:
    spec = one(plan(agent(), AROUND), "Service", "reception")["spec"]

    assert [(port["name"], port["port"], port["targetPort"]) for port in spec["ports"]] == [
        ("public", 8080, "public"),
        ("internal", 8081, "internal"),
    ]


@pytest.mark.parametrize("type_", ["NodePort", "LoadBalancer"])
def test_a_service_that_other_networks_reach_has_the_public_port_alone(type_: str) -> None:
    wanted = plan(agent(service={"type": type_, "port": 443, "annotations": {"b": "1", "a": "2"}}), AROUND)
    made = one(wanted, "Service", "reception")

    assert made["metadata"]["annotations"] == {"a": "2", "b": "1"}
    assert made["spec"]["type"] == type_
    assert [(port["name"], port["port"], port["targetPort"]) for port in made["spec"]["ports"]] == [
        ("public", 443, "public")
    ]
    assert one(wanted, "Service", "reception-fleet")["spec"]["ports"][0]["port"] == 8081


def test_a_route_leads_to_the_port_of_the_service() -> None:
    route = {"httpRoute": {"parentRefs": [{"name": "edge"}]}}
    wanted = plan(agent(service={"port": 80}, exposure=route), AROUND)

    assert one(wanted, "HTTPRoute")["spec"]["rules"][0]["backendRefs"] == [{"name": "reception", "port": 80}]


def test_pods_find_each_other_by_a_headless_service_also_while_they_start_and_drain() -> None:
    spec = one(plan(agent(), AROUND), "Service", "reception-fleet")["spec"]

    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert [(port["name"], port["port"]) for port in spec["ports"]] == [("internal", 8081)]
    assert variables(plan(agent(), AROUND))["FLEET_PEERS"] == "reception-fleet:8081"


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Service", "reception"), ("Service", "reception-fleet"), ("PodDisruptionBudget", ""), ("PodMonitor", "")],
)
def test_all_of_them_pick_the_deployments_pods(kind: str, name: str) -> None:
    wanted = plan(agent(), AROUND)
    selector = one(wanted, kind, name)["spec"]["selector"]

    assert selector.get("matchLabels", selector) == one(wanted, "Deployment")["spec"]["selector"]["matchLabels"]


def test_nodes_are_emptied_one_pod_at_a_time() -> None:
    spec = one(plan(agent(), AROUND), "PodDisruptionBudget")["spec"]

    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_every_pod_is_scraped_on_the_internal_port() -> None:
    spec = one(plan(agent(), AROUND), "PodMonitor")["spec"]

    assert spec["podMetricsEndpoints"] == [{"port": "internal", "path": "/metrics", "interval": "15s"}]


@pytest.mark.parametrize(
    ("mode", "made", "made_bare", "warned_bare"),
    [("Auto", True, False, False), ("Enabled", True, False, True), ("Disabled", False, False, False)],
)
def test_a_pod_monitor_is_made_where_it_can_be(mode: str, made: bool, made_bare: bool, warned_bare: bool) -> None:
    wanted = agent(telemetry={"podMonitor": mode})

    assert ("PodMonitor" in kinds(plan(wanted, AROUND))) is made
    assert ("PodMonitor" in kinds(plan(wanted, BARE))) is made_bare
    assert bool(plan(wanted, BARE).warnings) is warned_bare
