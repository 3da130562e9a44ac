"""What keeps an agent from being what its spec says: errors, refusals, bad specs, pauses, pods that do not start."""

from __future__ import annotations

import pytest

from batkol_operator.errors import UnreachableError
from batkol_operator.kube.names import PAUSED
from batkol_operator.reconcile.reconciler import SERVER_ERRORS_TOLERATED
from support.kube.front import writes
from support.kube.store import Key
from support.operators.desk import DEPLOYMENT, LIVE, NAME, NAMESPACE, Desk

pytestmark = pytest.mark.virtual_time


async def test_errors_of_the_server_are_for_backing_off_and_then_it_converges(at: Desk) -> None:
    at.create()
    at.api.fail("PATCH", "apps", "deployments", code=500, times=2)

    for _ in range(2):
        with pytest.raises(UnreachableError):
            await at.reconcile()
        assert at.status == {}, "nobody's fault that a condition could name"
    await at.reconcile()

    assert at.api.store.get(DEPLOYMENT)


async def test_a_server_that_goes_on_failing_is_told_of_in_its_own_words(at: Desk) -> None:
    """A real one answers 500 when its range of Service addresses is full."""
    at.create()
    said = "failed to allocate a serviceIP: range is full"
    fault = at.api.fail("PATCH", "services", code=500, message=said)

    for _ in range(SERVER_ERRORS_TOLERATED - 1):
        with pytest.raises(UnreachableError, match=said):
            await at.reconcile()
    outcome = await at.reconcile()

    assert outcome.retry
    assert at.condition("Stalled")["reason"] == "ServerError"
    assert said in at.condition("Ready")["message"]

    fault.times = 0
    await at.reconcile()
    assert at.condition("Stalled")["status"] == "False"


async def test_a_conflict_is_for_backing_off_too(at: Desk) -> None:
    at.create()
    at.api.fail("PATCH", "apps", "deployments", code=409, times=1)

    with pytest.raises(UnreachableError) as caught:
        await at.reconcile()

    assert caught.value.kind == "conflict"


async def test_an_object_that_admission_refuses_stalls_the_agent_and_keeps_no_other_back(at: Desk) -> None:
    at.create()
    said = 'admission webhook "images.example.com" denied the request: no such registry'
    fault = at.api.fail("PATCH", "apps", "deployments", code=400, reason="BadRequest", message=said)

    outcome = await at.reconcile()

    stalled = at.condition("Stalled")
    assert outcome.retry
    assert (stalled["status"], stalled["reason"]) == ("True", "Refused")
    assert f"Deployment {NAME}" in stalled["message"]
    assert said in stalled["message"]
    assert at.condition("Ready")["reason"] == "Refused"
    assert at.api.store.get(Key("policy", "poddisruptionbudgets", NAMESPACE, NAME))

    fault.times = 0
    await at.reconcile()
    assert at.condition("Stalled")["status"] == "False"
    assert at.events == ["Refused", "NoLongerStalled"]


async def test_a_right_that_the_operator_lacks_is_named_as_such(at: Desk) -> None:
    at.create()
    said = 'services "clinic" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "services"'
    at.api.fail("PATCH", "services", code=403, reason="Forbidden", message=said)

    await at.reconcile()

    assert at.condition("Stalled")["reason"] == "Forbidden"


async def test_a_spec_that_got_past_the_schema_stalls_and_changes_nothing(at: Desk) -> None:
    at.create()
    await at.reconcile()
    at.patch(spec={"recognition": {"batchMilliseconds": 3}})

    outcome = await at.reconcile()

    assert (outcome.result, outcome.retry) == ("stalled", False)
    assert at.condition("Stalled")["reason"] == "InvalidSpec"
    assert "batchMilliseconds" in at.condition("Stalled")["message"]
    assert [line for line in writes(at.api) if "voiceagents" not in line and "events" not in line] == []


async def test_a_paused_agent_is_left_alone_and_says_so(at: Desk) -> None:
    at.create()
    await at.reconcile()
    observed = at.status["observedGeneration"]

    at.patch(metadata={"annotations": {PAUSED: "true"}}, spec={"recognition": {"batchMilliseconds": 240}})
    at.api.store.delete(DEPLOYMENT)
    outcome = await at.reconcile()

    ready = at.condition("Ready")
    assert outcome.result == "paused"
    assert (ready["status"], ready["reason"]) == ("Unknown", "Paused")
    assert DEPLOYMENT not in at.api.store.objects
    assert at.status["observedGeneration"] == observed, "what is asked for now has not been acted on"
    assert (await at.reconcile(), at.api.seen)[1] == []

    at.patch(metadata={"annotations": {PAUSED: None}})
    await at.reconcile()
    assert DEPLOYMENT in at.api.store.objects
    assert "240" in at.api.store.get(LIVE)["data"]["tuning.json"]
    assert at.events == ["Paused", "Resumed"]


async def test_a_migration_that_fails_stalls_the_agent_with_its_own_sentence(at: Desk) -> None:
    at.create()
    await at.reconcile()
    said = "batkol: db:5432/calls cannot be migrated, and is unchanged: ConnectionRefusedError\n"
    migrate = {
        "name": "migrate",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 2, "message": said}},
    }
    media = {"name": "media", "state": {"waiting": {"reason": "PodInitializing"}}}
    at.pod("clinic-1", conditions=[], initContainerStatuses=[migrate], containerStatuses=[media])

    await at.reconcile()

    stalled = at.condition("Stalled")
    assert stalled["reason"] == "PodCannotStart"
    assert "container migrate: CrashLoopBackOff: db:5432/calls cannot be migrated" in stalled["message"]


async def test_a_pod_that_cannot_start_stalls_the_agent_with_the_kubelets_sentence(at: Desk) -> None:
    at.create()
    await at.reconcile()
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "twilio" not found'}
    at.pod("clinic-1", conditions=[], containerStatuses=[{"name": "media", "state": {"waiting": waiting}}])

    await at.reconcile()

    stalled = at.condition("Stalled")
    assert stalled["reason"] == "PodCannotStart"
    assert 'secret "twilio" not found' in stalled["message"]
