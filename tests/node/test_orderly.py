"""What an SRE does, and what a cluster does in good order, cuts no call, loses no word, and greets nobody twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from support.node.agent import HELLO, NAME, NAMESPACE, TALK, Agent, Calls, is_ready, kill, restarts
from support.node.cluster import Cluster
from support.node.images import NEXT_TAG
from support.node.shell import OPERATOR_PODS, SYSTEM, get, kubectl, run
from support.node.truth import polled
from support.service.stack import words_of
from support.time.waiting import eventually

Disturbance = Callable[[Agent, Cluster, Calls], Awaitable[None]]


async def image_rolled(agent: Agent, _cluster: Cluster, _calls: Calls) -> None:
    await agent.patch(image={"tag": NEXT_TAG})
    await agent.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=240s")


async def restarted_by_kubectl(agent: Agent, _cluster: Cluster, _calls: Calls) -> None:
    await agent.kubectl("rollout", "restart", f"deployment/{NAME}")
    await agent.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=240s")


async def pod_deleted(agent: Agent, _cluster: Cluster, _calls: Calls) -> None:
    await agent.kubectl("delete", "pod", (await agent.pods())[0]["metadata"]["name"], "--wait=false")


async def pod_evicted(agent: Agent, _cluster: Cluster, _calls: Calls) -> None:
    """The budget lets one go, and refuses the other until the first is replaced."""
    first, second = (pod["metadata"]["name"] for pod in await agent.pods())
    assert "Success" in await evict(first)
    assert "disruption budget" in await evict(second)


async def evict(pod: str) -> str:
    metadata = {"name": pod, "namespace": NAMESPACE}
    body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    said = await kubectl("create", "--raw", path, "--filename=-", given=body, check=False)
    return said.out + said.wrong


async def node_drained(agent: Agent, _cluster: Cluster, _calls: Calls) -> None:
    """One pod goes and waits for a node; the other may go only when that one is replaced."""
    selector = f"--pod-selector=batkol.dev/agent={NAME}"
    command = ("kubectl", "drain", "node-1", selector, "--delete-emptydir-data", "--force", "--timeout=300s")
    draining = asyncio.create_task(run(*command))

    async def one_waits() -> bool:
        return any(not pod["spec"].get("nodeName") for pod in await agent.pods())

    await eventually(one_waits, 120)
    await kubectl("uncordon", "node-1")
    await draining


async def operator_killed(agent: Agent, _cluster: Cluster, _calls: Calls) -> None:
    found = await get(f"--namespace={SYSTEM}", "pods", f"--selector={OPERATOR_PODS}")
    kill(found["items"][0])
    await agent.patch(recognition={"batchMilliseconds": 160})
    await agent.until("TuningApplied")


async def api_server_away(agent: Agent, cluster: Cluster, calls: Calls) -> None:
    await asyncio.to_thread(cluster.api.stop, within=5)
    await calls.spoken(28)  # more than 20 s; calls go on
    await asyncio.to_thread(cluster.start_api)
    await agent.patch(recognition={"batchMilliseconds": 140})
    await agent.until("TuningApplied")


async def database_restarted(agent: Agent, _cluster: Cluster, calls: Calls) -> None:
    await asyncio.to_thread(agent.database.stop)
    await calls.spoken(18)  # records wait in the journal
    await asyncio.to_thread(agent.database.start)


@pytest.mark.parametrize(
    "disturb",
    [
        image_rolled, restarted_by_kubectl, pod_deleted, pod_evicted, node_drained, operator_killed, api_server_away,
        database_restarted,
    ],
)  # fmt: skip
async def test_no_call_is_cut_no_word_is_lost_and_nobody_is_greeted_twice(
    agent: Agent, cluster: Cluster, disturb: Disturbance
) -> None:
    async with polled(agent) as truth:
        calls = await agent.call()
        await calls.spoken(6)  # all are greeted, and speak

        await disturb(agent, cluster, calls)
        await calls.over()
        await agent.settled()

        assert calls.cut() == []
        assert calls.greetings() == [1, 1, 1]
        assert await calls.kept() == [words_of(TALK)] * 3
        after = await agent.call(1, HELLO)
        await after.over()
        assert after.cut() == [], "a new call is taken"
    assert truth.lies == []
    assert truth.looks > 20


async def test_tuning_flag_and_prompt_are_in_force_in_calls_in_progress_and_no_pod_is_touched(agent: Agent) -> None:
    before = {(pod["metadata"]["uid"], restarts(pod)) for pod in await agent.pods()}
    calls = await agent.call()
    await calls.spoken(6)

    await agent.patch(recognition={"batchMilliseconds": 200}, streaming={"mode": "Disabled"})
    await agent.until("TuningApplied", seconds=10)
    await agent.patch(reply={"prompt": "Be kind.", "phrases": {"filler": "היום"}})
    await agent.until("ReplyApplied", seconds=10)
    assert sum(not task.done() for task in calls.tasks) == 3, "the calls are still on"

    await calls.over()
    assert calls.cut() == []
    assert await calls.kept() == [words_of(TALK)] * 3
    modes = await agent.rows("SELECT DISTINCT mode FROM utterances")
    assert {row["mode"] for row in modes} == {"streaming", "single"}
    assert {(pod["metadata"]["uid"], restarts(pod)) for pod in await agent.pods()} == before
    assert all(is_ready(pod) for pod in await agent.pods())
