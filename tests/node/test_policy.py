"""The NetworkPolicies of an agent and of the operator, enforced by kube-router: who gets in, and who does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from support.node.agent import NAME, NAMESPACE, Agent
from support.node.agent import PUBLIC as PUBLIC_URL
from support.node.connections import Target, asking_pod, connections
from support.node.places import ADDRESS
from support.node.shell import OPERATOR_PODS, SYSTEM, apply, chart, get, helm, kubectl, restart_operator
from support.time.waiting import eventually

PUBLIC, INTERNAL = 8080, 8081
ALLOWED = {
    "edge": {PUBLIC},  # Twilio's requests, by the ingress controller
    "bots": {INTERNAL},  # a program that follows the calls
    "monitoring": {INTERNAL},  # Prometheus
    SYSTEM: {INTERNAL},  # the operator
    NAMESPACE: set[int](),  # others of the same namespace
    "strangers": set[int](),
}
"""The ports of an agent's pods that pods of each namespace reach, and no other."""

POD_MONITORS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "podmonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"kind": "PodMonitor", "plural": "podmonitors", "singular": "podmonitor"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture
async def guarded(agent: Agent) -> AsyncIterator[Agent]:
    """An agent whose policy names who may come, in a cluster that has Prometheus' kinds."""
    await apply(POD_MONITORS)
    if not await agent.get("podmonitor", NAME):
        await restart_operator()
    for namespace in ALLOWED:
        await asking_pod(namespace)
    await agent.patch(networkPolicy={"ingressNamespaces": ["edge"], "internalNamespaces": ["bots"]})
    await agent.until("Ready")

    async def monitored() -> bool:
        return bool(await agent.get("podmonitor", NAME))

    await eventually(monitored, 120)
    await agent.settled()
    yield agent
    await agent.patch(networkPolicy=None)
    for namespace in ALLOWED:
        await kubectl(f"--namespace={namespace}", "delete", "pod", "asks")


async def reached(namespace: str, targets: Sequence[Target]) -> set[Target]:
    made = await connections(namespace, "asks", targets)
    return {target for target, was_made in zip(targets, made, strict=True) if was_made}


async def test_each_namespace_reaches_what_the_policy_names_and_nothing_else(guarded: Agent) -> None:
    """By the pods' addresses, and by the Service's; the calls' words have come through it too."""
    hosts = [pod["status"]["podIP"] for pod in await guarded.pods()]
    assert len(hosts) == 2
    hosts.append(await guarded.address())
    everything = [(host, port) for host in hosts for port in (PUBLIC, INTERNAL)]
    open_to_all = ((await get(f"--namespace={SYSTEM}", "service", "speech-double"))["spec"]["clusterIP"], 8090)

    async def is_enforced() -> bool:
        return not await reached("strangers", everything)

    await eventually(is_enforced, 60)
    for namespace, ports in ALLOWED.items():
        wanted = {(host, port) for host, port in everything if port in ports}
        assert await reached(namespace, [*everything, open_to_all]) == {*wanted, open_to_all}, namespace


async def test_the_pods_reach_each_other_and_all_that_they_need(guarded: Agent) -> None:
    """What leaves them is not limited: names, the database, a collector, the recognizer, the API server."""
    mine, other = await guarded.pods()
    collector = (await get("--namespace=monitoring", "pod", "asks"))["status"]["podIP"]
    needed = [
        (other["status"]["podIP"], INTERNAL),
        (f"{NAME}-fleet.{NAMESPACE}.svc.cluster.local", INTERNAL),
        (ADDRESS, 5432),
        (collector, 4317),
        (f"speech-double.{SYSTEM}", 8090),
        ("kubernetes.default.svc", 443),
    ]
    targets = [*needed, (other["status"]["podIP"], PUBLIC)]
    assert await connections(NAMESPACE, mine["metadata"]["name"], targets) == [True] * len(needed) + [False]


async def test_helm_test_rehearses_on_an_agent_behind_its_policy(guarded: Agent) -> None:
    """Its pod runs in the agent's namespace, which the policy does not name: neither for callers, nor for clients."""
    where = (f"test.voiceAgent={NAME}", f"test.namespace={NAMESPACE}", f"test.publicBaseUrl={PUBLIC_URL}")
    token = ("test.authTokenSecretRef.name=twilio", "test.authTokenSecretRef.key=token")
    await helm("upgrade", *chart("sample.enabled=false", *where, *token), "--wait", "--timeout=5m")

    await helm("test", "--timeout=5m", check=False)

    said = await guarded.kubectl("logs", "batkol-operator-test")
    assert said.splitlines()[-1].startswith(("GO", "NO-GO")), f"no call came through: {said}"


async def test_the_operator_reaches_what_it_needs_and_nothing_else(guarded: Agent) -> None:
    (pod,) = (await get(f"--namespace={SYSTEM}", "pods", f"--selector={OPERATOR_PODS}"))["items"]
    media = (await guarded.pods())[0]["status"]["podIP"]
    targets = [(media, INTERNAL), ("10.96.0.1", 443), (media, PUBLIC), (ADDRESS, 5432)]
    assert await connections(SYSTEM, pod["metadata"]["name"], targets) == [True, True, False, False]
    (container,) = pod["spec"]["containers"]
    metrics = next(port["containerPort"] for port in container["ports"] if port["name"] == "metrics")
    assert await reached("monitoring", [(pod["status"]["podIP"], metrics)])
    assert (await guarded.condition("Ready"))["status"] == "True", "it asks the pods through both policies"
