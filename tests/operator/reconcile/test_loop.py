"""The loops of an operator over hours of virtual time: handlers, watches, passes, polls, backoffs and leadership.

kopf's part is played (`support.operators.handling`); the real one is in `test_kopf_handlers.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from batkol_operator.kube.client import TIMEOUT_S
from batkol_operator.pods.poll_schedule import QUICK_FOR_S, QUICK_INTERVAL_S, SLOW_INTERVAL_S
from batkol_operator.reconcile.backoff import JITTER, LONGEST_S
from batkol_operator.reconcile.liveness import WITHOUT_SUCCESS_S
from batkol_operator.reconcile.reconciler import RESYNCS_PER_LISTING
from support.kube.front import writes
from support.operators.handling import Handling
from support.operators.world import World, world

pytestmark = pytest.mark.virtual_time

RESYNC_S = 60.0
SETTLED_S = 5.0
"""Seconds after which nothing goes on any more but polls, resyncs and listings."""


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def around(stack: AsyncExitStack) -> World:
    made, inner = await stack.enter_async_context(world())
    stack.push_async_exit(inner.pop_all())
    return made


@pytest.fixture
async def operator(around: World, stack: AsyncExitStack) -> Handling:
    return await around.operate(stack, resync_s=RESYNC_S)


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def errors(operator: Handling, kind: str) -> float:
    return operator.context.metrics.registry.get_sample_value("batkol_operator_errors_total", {"kind": kind}) or 0


async def test_an_agent_is_ready_in_seconds_and_then_costs_a_poll_an_interval_and_a_secret_a_resync(
    around: World, operator: Handling
) -> None:
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    assert around.condition(clinic, "Ready")["reason"] == "Ready"

    around.front.seen.clear()
    polls = around.pods.asked_at["10.0.0.1"]
    polls.clear()
    await asyncio.sleep(5 * RESYNC_S)

    assert set(around.front.seen) == {"PUT /secrets clinic-api"}
    assert 4 <= len(around.front.seen) <= 5
    assert SLOW_INTERVAL_S <= max(gaps(polls)) < SLOW_INTERVAL_S + 0.1
    assert len(polls) == 5 * RESYNC_S // SLOW_INTERVAL_S


async def test_a_change_is_polled_for_hurriedly_until_the_pod_runs_it(around: World, operator: Handling) -> None:
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    around.latency = lambda: 0.2  # so the pod reads its files two seconds after they change
    polls = around.pods.asked_at["10.0.0.1"]
    polls.clear()

    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 240}})
    await asyncio.sleep(SETTLED_S)

    assert 5 <= len(polls) <= SETTLED_S / QUICK_INTERVAL_S
    assert QUICK_INTERVAL_S - 0.05 <= min(gaps(polls)) < QUICK_INTERVAL_S + 0.05, "but for the requests of a pass"
    assert around.condition(clinic, "TuningApplied")["status"] == "True"
    assert around.status(clinic)["observedGeneration"] == 2


async def test_a_pod_that_never_runs_a_change_is_hurried_for_a_minute_only(around: World, operator: Handling) -> None:
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    around.started.clear()  # its files stay as they are
    polls = around.pods.asked_at["10.0.0.1"]
    polls.clear()

    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 240}})
    await asyncio.sleep(QUICK_FOR_S + 10 * SLOW_INTERVAL_S)

    hurried = [gap for gap in gaps(polls) if gap < SLOW_INTERVAL_S]
    assert sum(hurried) <= QUICK_FOR_S + QUICK_INTERVAL_S
    assert 9 <= len(gaps(polls)) - len(hurried) <= 10
    assert around.condition(clinic, "TuningApplied")["status"] == "False"


@pytest.mark.parametrize(
    ("hinder", "kind"),
    [
        (lambda around, on: setattr(around.memory, "down", on), "connection"),
        (lambda around, on: setattr(around.memory, "silent", on), "connection"),
    ],
    ids=["down", "silent"],
)
async def test_an_api_server_that_is_away_is_asked_ever_less_and_all_is_well_once_it_is_back(
    around: World, operator: Handling, hinder: Callable[[World, bool], None], kind: str
) -> None:
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    hinder(around, True)
    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 240}})
    await asyncio.sleep(WITHOUT_SUCCESS_S + LONGEST_S + TIMEOUT_S)

    least = WITHOUT_SUCCESS_S / (LONGEST_S + TIMEOUT_S)
    assert least <= errors(operator, kind) <= WITHOUT_SUCCESS_S / (LONGEST_S * (1 - JITTER)) + 10
    assert "no pass has succeeded" in str(operator.watchdog.why_stuck(asyncio.get_running_loop().time()))

    hinder(around, False)
    await asyncio.sleep(LONGEST_S + TIMEOUT_S + SETTLED_S)
    assert around.status(clinic)["observedGeneration"] == 2
    assert around.condition(clinic, "Ready")["status"] == "True"
    assert operator.watchdog.why_stuck(asyncio.get_running_loop().time()) is None


async def test_one_agent_that_fails_keeps_no_other_back(around: World, operator: Handling) -> None:
    around.front.fail("PATCH", "deployments", "broken", code=500)
    around.create("broken")
    clinic = around.create("clinic")
    await asyncio.sleep(WITHOUT_SUCCESS_S)

    assert around.condition(clinic, "Ready")["status"] == "True"
    assert max(gaps(around.pods.asked_at["10.0.0.1"])) < SLOW_INTERVAL_S + 1, "with a listing in it"
    assert around.deployment("broken") not in around.front.store.objects
    assert operator.watchdog.why_stuck(asyncio.get_running_loop().time()) is None


async def test_what_happens_during_a_pass_leads_to_another_one(around: World, operator: Handling) -> None:
    """The change comes while the pass before it waits for its first answer, after it has read the spec."""
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    around.memory.latency = lambda: 0.5

    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 200}})
    await asyncio.sleep(0.3)
    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 240}})
    await asyncio.sleep(SETTLED_S)

    assert '"batchMilliseconds": 240' in around.front.store.get(around.live("clinic"))["data"]["tuning.json"]
    assert around.status(clinic)["observedGeneration"] == 3


async def test_a_watch_that_is_refused_for_its_age_is_listed_again(around: World, operator: Handling) -> None:
    """A listing shows a change that the watch missed; what was deleted meanwhile, only the operator's own listing."""
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    around.front.end_watches()
    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 240}})
    around.front.store.delete(around.live("clinic"))
    around.front.store.delete(around.deployment("clinic"))
    around.front.forget_log()
    await asyncio.sleep(SETTLED_S)

    assert "240" in around.front.store.get(around.live("clinic"))["data"]["tuning.json"]
    assert around.deployment("clinic") not in around.front.store.objects, "nothing shows that it is gone"

    await asyncio.sleep(RESYNC_S * RESYNCS_PER_LISTING)
    assert around.deployment("clinic") in around.front.store.objects


async def test_a_watch_that_ends_goes_on_and_misses_nothing(around: World, operator: Handling) -> None:
    around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    around.front.end_watches()
    around.front.store.delete(around.deployment("clinic"))
    await asyncio.sleep(SETTLED_S)

    assert around.deployment("clinic") in around.front.store.objects


async def test_a_loop_that_dies_is_started_again_after_a_second(around: World, operator: Handling) -> None:
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    (loop,) = [task for task in asyncio.all_tasks() if task.get_name() == "agent"]
    loop.cancel()
    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 240}})
    await asyncio.sleep(SETTLED_S)

    assert errors(operator, "loop") == 1
    assert around.status(clinic)["observedGeneration"] == 2


async def test_an_agent_that_is_deleted_leaves_nothing_and_nothing_comes_back(
    around: World, operator: Handling
) -> None:
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    around.front.store.delete(clinic)
    await asyncio.sleep(2 * RESYNCS_PER_LISTING * RESYNC_S)

    assert [key for key in around.front.store.objects if key.plural != "events"] == []
    assert (operator.daemons, operator.watchdog._loops, operator.context.cache._views) == ({}, {}, {})


async def test_of_two_operators_the_one_that_leads_works_and_the_other_does_nothing(
    around: World, operator: Handling, stack: AsyncExitStack
) -> None:
    clinic = around.create("clinic")
    await asyncio.sleep(SETTLED_S)
    second = await around.operate(stack, leads=False, resync_s=RESYNC_S)
    await asyncio.sleep(SETTLED_S)
    assert second.watchdog._loops == {}

    operator.follow()
    second.lead()
    await asyncio.sleep(SETTLED_S)
    assert (operator.watchdog._loops, operator.daemons) == ({}, {})
    assert around.condition(clinic, "Ready")["status"] == "True"
    done = passes(operator)

    around.edit(clinic, spec={"recognition": {"batchMilliseconds": 240}})
    around.front.seen.clear()
    await asyncio.sleep(SETTLED_S)
    children = [line for line in writes(around.front) if "voiceagents" not in line and "events" not in line]
    assert children == ["PATCH /configmaps clinic-live", "PATCH /pods clinic-0"]
    assert around.status(clinic)["observedGeneration"] == 2
    assert passes(operator) == done, "it lets go"

    second.follow()
    operator.lead()
    around.front.store.delete(around.deployment("clinic"))
    await asyncio.sleep(SETTLED_S)
    assert around.deployment("clinic") in around.front.store.objects
    assert second.watchdog._loops == {}


def passes(operator: Handling) -> float:
    read = operator.context.metrics.registry.get_sample_value
    results = ("applied", "unchanged", "paused", "stalled", "failed")
    return sum(read("batkol_operator_reconciles_total", {"result": result}) or 0 for result in results)
