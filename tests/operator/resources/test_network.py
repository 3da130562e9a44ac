from __future__ import annotations

import dataclasses
from typing import Any

from batkol_operator.resources.plan import ClusterFacts, plan
from support.kube.manifests import kinds, one
from support.operators.agents import AROUND, agent

UNMONITORED = dataclasses.replace(AROUND, kinds=frozenset())


def let_in(around: ClusterFacts = AROUND, **policy: Any) -> dict[str, list[str] | None]:
    """Return the namespaces that may reach each port; None: everybody."""
    spec = one(plan(agent(networkPolicy=policy), around), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    allowed: dict[str, list[str] | None] = {}
    for rule in spec["ingress"]:
        (port,) = rule["ports"]
        if "from" not in rule:
            allowed[port["port"]] = None
            continue
        (chosen,) = rule["from"][0]["namespaceSelector"]["matchExpressions"]
        assert (chosen["key"], chosen["operator"]) == ("kubernetes.io/metadata.name", "In")
        allowed[port["port"]] = chosen["values"]
    return allowed


def test_anybody_may_call_and_only_the_operator_and_prometheus_may_ask() -> None:
    assert let_in() == {"public": None, "internal": ["batkol-system", "monitoring"]}


def test_nobody_scrapes_where_there_is_no_pod_monitor() -> None:
    assert let_in(UNMONITORED) == {"public": None, "internal": ["batkol-system"]}


def test_callers_come_by_the_ingress_controller_where_it_is_named() -> None:
    assert let_in(ingressNamespaces=["ingress-nginx"])["public"] == ["ingress-nginx"]


def test_subscribers_are_let_in_by_name() -> None:
    allowed = let_in(internalNamespaces=["agents", "batkol-system"], monitoringNamespaces=["prom"])

    assert allowed["internal"] == ["agents", "batkol-system", "prom"]


def test_the_agents_own_pods_may_ask_each_other_and_call_each_other_on_no_other_port() -> None:
    """Without a namespace selector beside it, a pod selector means the agent's own namespace."""
    wanted = plan(agent(networkPolicy={"ingressNamespaces": ["ingress-nginx"]}), AROUND)
    public, internal = one(wanted, "NetworkPolicy")["spec"]["ingress"]
    own = one(wanted, "Deployment")["spec"]["selector"]

    assert {"podSelector": own} in internal["from"]
    assert {"podSelector": own} not in public["from"]


def test_the_pod_of_helm_test_may_call_and_ask() -> None:
    """It runs in the agent's namespace, where its token is, which need be neither the operator's nor the ingress's."""
    rules = one(plan(agent(networkPolicy={"ingressNamespaces": ["ingress-nginx"]}), AROUND), "NetworkPolicy")["spec"]
    rehearsal = {"podSelector": {"matchLabels": {"batkol.dev/rehearses": agent().metadata.name}}}

    assert [rehearsal in rule["from"] for rule in rules["ingress"]] == [True, True]


def test_there_need_be_none() -> None:
    assert "NetworkPolicy" not in kinds(plan(agent(networkPolicy={"mode": "Disabled"}), AROUND))


def test_it_is_for_this_agents_pods() -> None:
    spec = one(plan(agent(), AROUND), "NetworkPolicy")["spec"]

    assert spec["podSelector"] == one(plan(agent(), AROUND), "Deployment")["spec"]["selector"]
