"""KEDA and a real Prometheus on the node: pods come with calls and go after them, and no call notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.node import addons, pods_metric, prometheus
from support.node.agent import NAME, Agent, is_ready
from support.node.cluster import Cluster
from support.node.scaled import managers, observed
from support.node.talk import place
from support.process.programs import Program
from support.time.waiting import eventually

SCALING = {
    "replicas": None,
    "minReplicas": 1,
    "maxReplicas": 3,
    "callsPerPod": 3,
    "scaleDownStabilizationSeconds": 30,
    "autoscaler": "ScaledObject",
    "prometheusUrl": prometheus.URL,
}
KEDAS_OWN = f"keda-hpa-{NAME}"


@pytest.fixture(scope="module")
def figures(cluster: Cluster) -> Iterator[Program]:
    with prometheus.prometheus() as running:
        yield running


@pytest.fixture
async def scaled(agent: Agent, figures: Program) -> AsyncIterator[Agent]:
    """An agent to be scaled, and afterwards one of two pods again."""
    yield agent
    await agent.patch(scaling=None)
    await agent.settled()


@asynccontextmanager
async def source_of(autoscaler: str) -> AsyncIterator[None]:
    """What gives an autoscaler its figures: KEDA, or an adapter."""
    if autoscaler == "ScaledObject":
        await addons.install(addons.KEDA)
        yield
    else:
        async with pods_metric.served():
            yield


async def conditions(agent: Agent, kind: str, name: str = NAME) -> dict[str, str]:
    """The states of an object's conditions, by type."""
    found = await agent.get(kind, name) or {}
    return {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}


async def size(agent: Agent) -> int:
    return int((await agent.get("deployment", NAME))["spec"]["replicas"])


async def until_size(agent: Agent, wanted: int, seconds: float = 240) -> None:
    async def reached() -> bool:
        return await size(agent) == wanted

    await eventually(reached, seconds)


async def until_scaling(agent: Agent, status: str, part: str = "", seconds: float = 240) -> None:
    """Wait for the agent's word on its autoscaler."""

    async def said() -> bool:
        found = await agent.condition("ScalingActive")
        return found.get("status") == status and part in found["message"]

    await eventually(said, seconds)


async def until_active(agent: Agent, status: str) -> None:
    """Wait for KEDA's word on whether there are calls; it looks every 15 seconds."""

    async def said() -> bool:
        return (await conditions(agent, "scaledobject")).get("Active") == status

    await eventually(said, 120)


async def ready_pods(agent: Agent) -> list[Any]:
    """The pods that take calls, the oldest first."""
    found = [pod for pod in await agent.pods() if is_ready(pod)]
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


async def test_keda_may_be_installed_after_the_operator_and_takes_over_the_pods_that_are_there(scaled: Agent) -> None:
    await addons.remove(addons.KEDA)
    await scaled.patch(scaling={**SCALING, "minReplicas": 2})
    await scaled.until("Ready")

    async def warned() -> bool:
        ready = await scaled.condition("Ready")
        return bool(ready["reason"] == "ReadyWithWarnings" and "this cluster has no KEDA: 2 pods" in ready["message"])

    await eventually(warned, 120)
    async with observed(scaled) as sizes:
        await addons.install(addons.KEDA)
        await until_scaling(scaled, "True", f"ScaledObject {NAME}")
        ready = await scaled.condition("Ready")
        assert (ready["status"], ready["reason"]) == ("True", "Ready")
        assert (await conditions(scaled, "hpa", KEDAS_OWN))["ScalingActive"] == "True"
    assert sizes.numbers == [2]
    assert sizes.writes == 0
    assert sizes.reasons == set()


@pytest.mark.parametrize("autoscaler", ["ScaledObject", "HorizontalPodAutoscaler"])
async def test_pods_come_with_calls_and_go_after_them_and_no_call_is_cut(scaled: Agent, autoscaler: str) -> None:
    await scaled.patch(scaling={"replicas": 1})
    await scaled.settled()
    by_keda = autoscaler == "ScaledObject"
    async with source_of(autoscaler), observed(scaled) as sizes:
        await scaled.patch(scaling={**SCALING, "autoscaler": autoscaler})
        await until_scaling(scaled, "True", autoscaler)
        if by_keda:
            await until_active(scaled, "False")

        early = await place(scaled, 4, await scaled.address())  # three in each pod are wanted
        await until_size(scaled, 2)
        await scaled.settled()
        older, newer = await ready_pods(scaled)
        if by_keda:
            await until_active(scaled, "True")
        hpa = await conditions(scaled, "hpa", KEDAS_OWN if by_keda else NAME)
        assert (hpa["AbleToScale"], hpa["ScalingActive"]) == ("True", "True")
        late = await place(scaled, 2, newer["status"]["podIP"])

        await asyncio.gather(*(talk.end() for talk in early[1:]))
        await until_size(scaled, 1)  # three calls are left, and the older pod has one of them

        async def ending() -> list[str]:
            return [pod["metadata"]["name"] for pod in await scaled.pods() if "deletionTimestamp" in pod["metadata"]]

        await eventually(ending)
        assert await ending() == [older["metadata"]["name"]], "the pod with the fewest calls goes"
        lasting = [early[0], *late]
        assert [talk.lives for talk in lasting] == [True] * 3
        await asyncio.gather(*(talk.more(2) for talk in lasting))
        assert await ending() == [older["metadata"]["name"]], "it waits for its call"
        await asyncio.gather(*(talk.end() for talk in lasting))
        await scaled.settled()

    assert [await talk.wrong() for talk in (*early, *late)] == [[]] * 6
    assert sizes.numbers == [1, 2, 1]
    assert sizes.writes == 2, "once up and once down: nobody else writes the number"
    assert managers(await scaled.get("deployment", NAME, "--show-managed-fields")) == {"kube-controller-manager"}
    assert sizes.reasons == set()
    (after,) = await place(scaled, 1, await scaled.address())
    await after.end()
    assert await after.wrong() == []


async def test_without_prometheus_the_number_of_pods_stays_and_the_status_says_why(
    scaled: Agent, figures: Program
) -> None:
    await addons.install(addons.KEDA)
    await scaled.patch(scaling={**SCALING, "minReplicas": 2})
    await until_scaling(scaled, "True")
    async with observed(scaled) as sizes:
        await asyncio.to_thread(figures.stop)
        await until_scaling(scaled, "False", "The number of pods stays as it is.")
        assert (await scaled.condition("Ready"))["status"] == "True", "the pods take calls"
        assert (await conditions(scaled, "hpa", KEDAS_OWN))["ScalingActive"] == "False"

        await asyncio.to_thread(figures.start)
        await until_scaling(scaled, "True")
    assert (sizes.numbers, sizes.writes) == ([2], 0)


async def test_one_autoscaler_takes_over_from_another_and_a_fixed_number_from_both(scaled: Agent) -> None:
    """KEDA's admission refuses a ScaledObject for a Deployment that another autoscaler has."""
    await addons.install(addons.KEDA)
    await scaled.patch(scaling={"replicas": None, "minReplicas": 2, "maxReplicas": 3})
    await until_scaling(scaled, "False", "batkol_calls_active")  # there is no adapter

    async def hpas() -> set[str]:
        return {each["metadata"]["name"] for each in ((await scaled.get("hpa")) or {"items": []})["items"]}

    async with observed(scaled) as sizes:
        await scaled.patch(scaling={**SCALING, "minReplicas": 2})
        await until_scaling(scaled, "True", f"ScaledObject {NAME}")
        assert await hpas() == {KEDAS_OWN}

        await scaled.patch(scaling={"autoscaler": "HorizontalPodAutoscaler", "prometheusUrl": None})
        await until_scaling(scaled, "False", "batkol_calls_active")

        async def alone() -> bool:
            return await hpas() == {NAME} and not await scaled.get("scaledobject", NAME)

        await eventually(alone, 120)
        assert sizes.numbers == [2]

        await scaled.patch(scaling={"minReplicas": None, "maxReplicas": None, "replicas": 3})
        await until_size(scaled, 3)
        await scaled.settled()
        assert await hpas() == set()
    assert sizes.numbers == [2, 3]
    assert sizes.writes == 1
    assert sizes.reasons == set(), "nothing was refused"
