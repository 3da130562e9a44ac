"""A live change and the pods that have to run it, in virtual time; the last test is the same over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from batkol_operator.kube.names import DELETION_COST, LIVE_REVISION
from batkol_operator.pods.client import PodClient
from batkol_operator.pods.poll_schedule import QUICK_INTERVAL_S
from batkol_operator.resources.secret import api_token
from support.kube.api import KubeApi
from support.kube.memory_api import MemoryApi
from support.operators.desk import NAME, NAMESPACE, Desk, desk
from support.operators.pods import AnsweringPod, MemoryPods, answering


@pytest.fixture
def pods() -> tuple[AnsweringPod, AnsweringPod]:
    return AnsweringPod("127.0.0.2", calls=2), AnsweringPod("127.0.0.3")


@pytest.fixture
async def at(memory: MemoryApi, pods: tuple[AnsweringPod, AnsweringPod]) -> AsyncIterator[Desk]:
    """An agent with two pods that run what is wanted."""
    async with desk(memory, pods=MemoryPods(*pods)) as made:
        await settle(made, pods)
        yield made


async def settle(at: Desk, pods: tuple[AnsweringPod, AnsweringPod]) -> None:
    agent = at.create()
    await at.reconcile()
    token = api_token(b"k" * 32, namespace=NAMESPACE, name=NAME, uid=agent["metadata"]["uid"])
    for i, pod in enumerate(pods):
        pod.token = token
        take(at, pod)
        at.pod(f"clinic-{i}", pod.ip)
    at.roll_out(2)
    await at.reconcile()


def take(at: Desk, pod: AnsweringPod) -> None:
    pod.tuning, pod.flags = at.status["tuningRevision"], at.status["flagsRevision"]


@pytest.mark.virtual_time
async def test_an_agent_whose_pods_run_what_is_wanted_is_ready(at: Desk) -> None:
    assert at.condition("Ready")["status"] == "True"
    assert (at.status["inSync"], at.status["podsInSync"], at.status["activeCalls"]) == ("2/2", 2, 2)
    assert at.events == ["TuningApplied", "Ready"]


@pytest.mark.virtual_time
async def test_a_change_is_applied_when_the_last_pod_runs_it(at: Desk, pods: tuple[AnsweringPod, AnsweringPod]) -> None:
    await apply_a_change(at, pods)
    assert at.status["inSync"] == "2/2"


@pytest.mark.virtual_time
async def test_a_pod_that_lags_is_touched_once_and_one_that_does_not_never(
    at: Desk, pods: tuple[AnsweringPod, AnsweringPod]
) -> None:
    at.patch(spec={"recognition": {"batchMilliseconds": 240}})
    await at.reconcile()
    touched = [line for line in at.api.seen if "pods" in line]
    assert sorted(touched) == ["PATCH /pods clinic-0", "PATCH /pods clinic-1"]

    await asyncio.sleep(QUICK_INTERVAL_S)
    await at.reconcile()
    assert [line for line in at.api.seen if "pods" in line] == []
    for pod in at.api.store.find("", "pods"):
        assert at.status["tuningRevision"] in pod["metadata"]["annotations"][LIVE_REVISION]


@pytest.mark.virtual_time
async def test_deleting_a_busy_pod_costs_more(at: Desk) -> None:
    costs = {pod["metadata"]["name"]: pod["metadata"].get("annotations", {}) for pod in at.api.store.find("", "pods")}

    assert costs["clinic-0"][DELETION_COST] == "2"
    assert DELETION_COST not in costs["clinic-1"], "none is what it costs anyway"


@pytest.mark.virtual_time
async def test_pods_are_not_asked_at_every_look(at: Desk, pods: tuple[AnsweringPod, AnsweringPod]) -> None:
    asked = pods[0].asked

    for _ in range(3):
        outcome = await at.reconcile()

    assert (pods[0].asked, outcome.result, at.api.seen) == (asked, "unchanged", [])


@pytest.mark.virtual_time
async def test_a_pod_that_went_while_the_watch_was_down_is_not_waited_for(at: Desk) -> None:
    follower = at.api.followers.pop()
    gone = at.pod("clinic-9", "127.0.0.9")
    at.api.followers.append(follower)
    at.patch(gone, subresource="status", status={"phase": "Running"})  # the watch brings it, then misses its end
    await asyncio.sleep(0)
    at.api.followers.pop()
    at.api.store.delete(gone)
    at.api.followers.append(follower)

    await at.reconcile()

    assert at.status["inSync"] == "2/2"


@pytest.mark.virtual_time
async def test_passes_that_do_something_are_counted_and_the_time_to_converge_is(at: Desk) -> None:
    converged = at.context.metrics.registry.get_sample_value("batkol_operator_converged_seconds_count")
    in_sync = at.context.metrics.registry.get_sample_value("batkol_operator_pods_in_sync")

    assert (converged, in_sync) == (1, 2)


async def test_a_change_goes_to_pods_that_answer_over_http(
    api: KubeApi, pods: tuple[AnsweringPod, AnsweringPod]
) -> None:
    async with answering(*pods) as port, PodClient(port) as client, desk(api, pods=client) as at:
        await settle(at, pods)
        await apply_a_change(at, pods)
        assert at.status["inSync"] == "2/2"


async def apply_a_change(at: Desk, pods: tuple[AnsweringPod, AnsweringPod]) -> None:
    at.patch(spec={"recognition": {"batchMilliseconds": 240}})
    outcome = await at.reconcile()

    assert at.condition("TuningApplied")["message"].startswith("0 of 2 pods run revision")
    assert outcome.next_in <= QUICK_INTERVAL_S + 0.001, (
        "they are asked again soon"
    )  # a difference of two clock readings

    take(at, pods[0])
    await asyncio.sleep(QUICK_INTERVAL_S)
    await at.reconcile()
    assert at.status["inSync"] == "1/2"
    assert "clinic-1 lags" in at.condition("TuningApplied")["message"]

    take(at, pods[1])
    await asyncio.sleep(QUICK_INTERVAL_S)
    outcome = await at.reconcile()
    assert at.condition("Ready")["status"] == "True"
    assert outcome.next_in > 10, "there is no hurry any more"
    assert at.events == ["TuningApplied", "Ready", "NotReady", "TuningApplied", "Ready"]
