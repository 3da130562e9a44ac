"""When the operator sets back what others change: the turns themselves, and a fight with another manager."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from batkol_operator.errors import FieldConflict
from batkol_operator.kube.names import PAUSED
from batkol_operator.reconcile.contests import AT_ONCE, CALM_S, FIRST_WAIT_S, LONGEST_WAIT_S, SETTLED_S, Contests
from support.kube.front import writes
from support.kube.memory_api import MemoryApi
from support.kube.store import Key, merge
from support.operators.desk import AGENT, DEPLOYMENT, LIVE, NAME, NAMESPACE, Desk, desk

SERVICE = Key("", "services", NAMESPACE, NAME)
KEY = ("v1", "Service", NAME)
EDIT = (FieldConflict("kubectl-edit", ".spec.type"),)


def fight(rounds: int, contests: Contests) -> list[float]:
    """Have another client change the object at once whenever it was set back; return the times of setting back."""
    now = 0.0
    times: list[float] = []
    while len(times) < rounds:
        if contests.waits(KEY, b"1", now):
            now = contests.deadline(now) or 0.0
            continue
        contests.set_back(KEY, b"1", EDIT, now)
        times.append(now)
    return times


def test_the_first_changes_are_set_back_at_once_and_further_ones_ever_later() -> None:
    times = fight(12, Contests())
    waits = [after - before for before, after in pairwise(times)]

    assert waits[: AT_ONCE - 1] == [0.0] * (AT_ONCE - 1)
    assert waits[AT_ONCE - 1 : AT_ONCE + 2] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert waits[-1] == LONGEST_WAIT_S


def test_a_new_spec_does_not_wait_and_a_fight_about_it_goes_on_where_it_was() -> None:
    contests = Contests()
    fight(6, contests)
    now = contests.going_on(0.0)[0].wait_s
    assert contests.waits(KEY, b"1", now)

    assert not contests.waits(KEY, b"2", now), "another object is wanted"
    contests.renew(KEY, b"2")
    assert contests.waits(KEY, b"2", now)


def test_it_is_over_after_a_while_without_changes() -> None:
    contests = Contests()
    contests.set_back(KEY, b"1", EDIT, 0.0)
    assert [each.times for each in contests.going_on(CALM_S - 1)] == [1]
    assert contests.deadline(1.0) == CALM_S

    assert contests.going_on(CALM_S) == ()
    contests.set_back(KEY, b"1", EDIT, CALM_S)
    assert [each.times for each in contests.going_on(CALM_S)] == [1]


@pytest.mark.virtual_time
async def test_what_is_no_longer_wanted_is_forgotten(at: Desk) -> None:
    """Otherwise its turn, which never comes, would have one pass begin right after the other."""
    ingress = Key("networking.k8s.io", "ingresses", NAMESPACE, NAME)
    at.create(exposure={"ingress": {"className": "nginx"}})
    await at.reconcile()
    for _ in range(AT_ONCE + 1):
        at.api.store.delete(ingress)
        await at.reconcile()
    assert at.condition("Ready")["reason"] == "Contested"

    at.patch(spec={"exposure": None})
    await asyncio.sleep(FIRST_WAIT_S)
    assert (await at.reconcile()).next_in > 0
    assert at.condition("Ready")["reason"] != "Contested"


def test_it_is_not_over_while_the_others_value_stands() -> None:
    contests = Contests()
    now = fight(11, contests)[-1]
    assert contests.waits(KEY, b"1", now + 1)

    assert [each.stands for each in contests.going_on(now + CALM_S + 1)] == [True]


def test_a_value_that_was_set_back_has_to_stay_before_it_counts() -> None:
    contests = Contests()
    for _ in range(AT_ONCE):
        contests.set_back(KEY, b"1", EDIT, 0.0)

    assert [each.stands for each in contests.going_on(1.0)] == [True]
    assert contests.deadline(1.0) == SETTLED_S
    assert [each.stands for each in contests.going_on(SETTLED_S)] == [False]


async def mesh(at: Desk, port: int) -> None:
    """Play a controller that writes a field of the operator's."""
    ports = [{"name": "public", "port": port}]
    at.api.store.change(SERVICE, "", lambda old: merge(old, {"spec": {"ports": ports}}), "mesh-controller")
    await asyncio.sleep(0)


def applies(at: Desk) -> int:
    return sum(line == f"PATCH /services {NAME}" for line in writes(at.api))


@pytest.mark.virtual_time
async def test_a_fight_is_said_once_ends_ready_and_does_not_run_at_the_speed_of_the_watches(at: Desk) -> None:
    at.create()
    await at.reconcile()
    seen, until = 0, asyncio.get_running_loop().time() + 300
    while asyncio.get_running_loop().time() < until:
        await mesh(at, 1 + seen % 2)
        outcome = await at.reconcile()
        seen += applies(at)
        await asyncio.sleep(min(outcome.next_in, 1.0))

    assert seen == 2 * 7, "each time it is asked without force, and then with it"
    contested, ready = at.condition("Contested"), at.condition("Ready")
    assert contested["message"].startswith(f"mesh-controller changed .spec.ports of Service {NAME}, 7 times.")
    assert (contested["status"], contested["reason"]) == ("True", "ChangedRepeatedly")
    assert (ready["status"], ready["reason"]) == ("False", "Contested")
    assert at.events.count("Contested") == 2, "the first change, and that it goes on"
    metrics = at.context.metrics.registry
    assert metrics.get_sample_value("batkol_operator_contests_total", {"kind": "Service"}) == 7


@pytest.mark.virtual_time
async def test_in_a_fight_a_new_spec_is_applied_at_once(at: Desk) -> None:
    at.create()
    await at.reconcile()
    for _ in range(AT_ONCE + 2):
        at.patch(LIVE, data={"flags.json": "{}"})
        await at.reconcile()
    assert at.api.store.get(LIVE)["data"]["flags.json"] == "{}"
    assert at.condition("Ready")["reason"] == "Contested"

    at.patch(spec={"streaming": {"mode": "Enabled"}})
    await at.reconcile()

    assert "streaming-stt" in at.api.store.get(LIVE)["data"]["flags.json"]
    at.patch(LIVE, data={"flags.json": "{}"})
    await at.reconcile()
    assert at.api.store.get(LIVE)["data"]["flags.json"] == "{}", "the fight goes on where it was"


@pytest.mark.virtual_time
async def test_when_the_other_client_gives_way_all_is_well_again(at: Desk) -> None:
    at.create()
    await at.reconcile()
    for _ in range(AT_ONCE + 1):
        await mesh(at, 1)
        await at.reconcile()
    await asyncio.sleep(FIRST_WAIT_S)
    await at.reconcile()
    assert at.condition("Ready")["reason"] == "Contested", "it may be changed again in a moment"

    await asyncio.sleep(SETTLED_S)
    await at.reconcile()
    assert at.condition("Ready")["reason"] != "Contested"
    await asyncio.sleep(CALM_S)
    await at.reconcile()
    assert (at.condition("Contested")["status"], at.events[-1]) == ("False", "NoLongerContested")


@pytest.mark.virtual_time
async def test_what_stays_as_it_was_set_back_is_at_peace_when_all_is_listed_and_applied_again(
    memory: MemoryApi,
) -> None:
    clock = asyncio.get_running_loop().time
    async with desk(memory, resync_s=20.0) as at:  # all is listed every 200 s
        at.create()
        await at.reconcile()
        for _ in range(10):  # the other client's turns are 600 s long by then
            await mesh(at, 1)
            while at.api.store.get(SERVICE)["spec"]["ports"][0]["port"] == 1:
                await asyncio.sleep(10)
                await at.reconcile()
        await asyncio.sleep(SETTLED_S)
        await at.reconcile()
        listed, reasons, peace = 0, set[str](), clock()
        while clock() < peace + LONGEST_WAIT_S - SETTLED_S - 20:
            await asyncio.sleep(10)
            await at.reconcile()
            listed += any(line.startswith("GET /services") for line in at.api.seen)
            reasons.add(at.condition("Ready")["reason"])

    assert listed > 1
    assert "Contested" not in reasons


@pytest.mark.virtual_time
async def test_who_deletes_or_removes_is_not_known_and_that_it_happens_is_said(at: Desk) -> None:
    at.create()
    await at.reconcile()

    at.api.store.delete(DEPLOYMENT)
    await at.reconcile()
    assert at.condition("Contested")["message"].startswith(
        f"A client deleted Deployment {NAME}. The operator makes it again"
    )

    def without_a_selector(old: dict[str, object]) -> dict[str, object]:
        spec = old["spec"]
        assert isinstance(spec, dict)
        return {**old, "spec": {name: value for name, value in spec.items() if name != "selector"}}

    at.api.store.change(SERVICE, "", without_a_selector)
    await at.reconcile()
    await asyncio.sleep(1.0)  # a status that differs in its message only is written later
    await at.reconcile()
    assert (
        f"A client removed fields of Service {NAME}. The operator sets them back"
        in at.condition("Contested")["message"]
    )
    assert "selector" in at.api.store.get(SERVICE)["spec"]


@pytest.mark.virtual_time
async def test_what_is_set_back_after_a_refusal_only_is_a_contest_too(at: Desk) -> None:
    at.create()
    await at.reconcile()

    at.api.store.delete(SERVICE)
    at.api.fail("PATCH", "services", code=403, reason="Forbidden", message="exceeded quota: none", times=1)
    await at.reconcile()
    assert at.condition("Stalled")["reason"] == "Refused"
    await at.reconcile()

    assert at.condition("Contested")["message"].startswith(f"A client deleted Service {NAME}.")
    metrics = at.context.metrics.registry
    assert metrics.get_sample_value("batkol_operator_contests_total", {"kind": "Service"}) == 1


@pytest.mark.virtual_time
async def test_what_others_add_is_no_contest(at: Desk) -> None:
    at.create()
    await at.reconcile()
    marks = {"labels": {"team": "voice"}, "annotations": {"mesh.example.com/inject": "true"}}
    for key in (SERVICE, DEPLOYMENT, LIVE):
        at.patch(key, metadata=marks)

    outcome = await at.reconcile()

    assert outcome.result == "unchanged"
    assert "Contested" not in {each["type"] for each in at.status["conditions"]}


@pytest.mark.virtual_time
async def test_what_was_changed_while_the_operator_was_away_is_said_and_set_back(at: Desk) -> None:
    """Its first pass knows nothing of an earlier one."""
    at.create()
    await at.reconcile()
    at.patch(DEPLOYMENT, spec={"minReadySeconds": 1})
    at.reconciler._objects.invalidate()

    await at.reconcile()

    assert "kubectl-edit changed .spec.minReadySeconds" in at.condition("Contested")["message"]
    assert at.api.store.get(DEPLOYMENT)["spec"]["minReadySeconds"] == 5


@pytest.mark.virtual_time
async def test_what_is_changed_while_the_agent_is_paused_is_set_back_without_a_word(at: Desk) -> None:
    at.create()
    await at.reconcile()
    at.patch(metadata={"annotations": {PAUSED: "true"}})
    await at.reconcile()
    at.patch(DEPLOYMENT, spec={"minReadySeconds": 1})
    await at.reconcile()
    at.patch(metadata={"annotations": {PAUSED: None}})
    await at.reconcile()

    assert at.api.store.get(DEPLOYMENT)["spec"]["minReadySeconds"] == 5
    assert "Contested" not in {each["type"] for each in at.status["conditions"]}
    assert AGENT in at.api.store.objects


@pytest.mark.virtual_time
async def test_the_number_of_pods_is_the_autoscalers_and_passing_it_on_is_no_contest(at: Desk) -> None:
    def scaled(replicas: int) -> None:
        at.api.store.change(DEPLOYMENT, "", lambda old: merge(old, {"spec": {"replicas": replicas}}), "kube-controller")

    at.create(scaling={"replicas": 2})
    await at.reconcile()
    at.patch(spec={"scaling": {"replicas": None, "minReplicas": 2, "maxReplicas": 6}})
    await at.reconcile()
    scaled(5)
    await at.reconcile()
    assert at.api.store.get(DEPLOYMENT)["spec"]["replicas"] == 5
    at.patch(spec={"scaling": {"replicas": 3, "minReplicas": None, "maxReplicas": None}})
    await at.reconcile()
    assert at.api.store.get(DEPLOYMENT)["spec"]["replicas"] == 3
    assert "Contested" not in {each["type"] for each in at.status["conditions"]}

    scaled(7)
    await at.reconcile()
    assert at.api.store.get(DEPLOYMENT)["spec"]["replicas"] == 3
    assert at.condition("Contested")["message"].endswith("or `minReplicas` and `maxReplicas`.")
