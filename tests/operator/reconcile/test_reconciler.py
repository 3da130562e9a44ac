"""One pass after another, straight at the reconciler, in virtual time; the watches are the API server's store's own.

`test_reconciler_on_the_wire.py` has the same over HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from batkol_operator.kube.names import AGENT as AGENT_LABEL
from batkol_operator.kube.names import MANAGED_BY
from batkol_operator.reconcile.reconciler import RESYNCS_PER_LISTING
from support.kube.front import ApiFront, writes
from support.kube.store import Key
from support.operators.desk import AGENT, DEPLOYMENT, LIVE, NAME, NAMESPACE, Desk

pytestmark = pytest.mark.virtual_time

SECRET = Key("", "secrets", NAMESPACE, f"{NAME}-api")


def template_hash(api: ApiFront) -> str:
    template = api.store.get(DEPLOYMENT)["spec"]["template"]
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()


async def test_a_new_agent_gets_all_its_children(at: Desk) -> None:
    at.create()

    outcome = await at.reconcile()

    kinds = {key.plural for key in at.api.store.objects}
    assert outcome.result == "applied"
    assert {"deployments", "configmaps", "secrets", "services", "serviceaccounts", "poddisruptionbudgets"} <= kinds
    for key, child in at.api.store.objects.items():
        if key.plural not in ("voiceagents", "events"):
            assert child["metadata"]["labels"][AGENT_LABEL] == NAME
            assert child["metadata"]["ownerReferences"][0]["uid"] == at.api.store.get(AGENT)["metadata"]["uid"]


async def test_an_agent_that_is_as_it_should_be_costs_no_request(at: Desk) -> None:
    at.create()
    await at.reconcile()

    outcome = await at.reconcile()

    assert (outcome.result, at.api.seen) == ("unchanged", [])


async def test_a_tuning_change_writes_the_config_map_and_nothing_else(at: Desk) -> None:
    at.create()
    await at.reconcile()
    before = template_hash(at.api)

    at.patch(spec={"recognition": {"batchMilliseconds": 240}})
    await at.reconcile()

    children = [line for line in writes(at.api) if "voiceagents" not in line and "events" not in line]
    assert children == [f"PATCH /configmaps {NAME}-live"]
    assert "240" in at.api.store.get(LIVE)["data"]["tuning.json"]
    assert template_hash(at.api) == before


async def test_a_flag_change_writes_the_config_map_and_nothing_else(at: Desk) -> None:
    at.create()
    await at.reconcile()
    before = template_hash(at.api)

    at.patch(spec={"streaming": {"mode": "Enabled"}})
    await at.reconcile()

    children = [line for line in writes(at.api) if "voiceagents" not in line and "events" not in line]
    assert children == [f"PATCH /configmaps {NAME}-live"]
    assert template_hash(at.api) == before
    assert at.status["streaming"] == "Enabled"


async def test_an_edit_by_hand_is_put_right(at: Desk) -> None:
    at.create()
    await at.reconcile()
    right = at.api.store.get(LIVE)["data"]

    at.patch(LIVE, data={"tuning.json": "{}"})
    await at.reconcile()

    assert at.api.store.get(LIVE)["data"] == right
    children = [line for line in writes(at.api) if "voiceagents" not in line and "events" not in line]
    assert children == [f"PATCH /configmaps {NAME}-live"] * 2, "once without force, which names the other manager"


async def test_a_field_that_is_not_ours_is_left_alone(at: Desk) -> None:
    at.create()
    await at.reconcile()

    at.patch(DEPLOYMENT, metadata={"annotations": {"somebody/else": "was here"}})
    outcome = await at.reconcile()

    assert outcome.result == "unchanged"
    assert at.api.store.get(DEPLOYMENT)["metadata"]["annotations"]["somebody/else"] == "was here"


async def test_a_deleted_child_is_made_again(at: Desk) -> None:
    at.create()
    await at.reconcile()

    at.api.store.delete(DEPLOYMENT)
    await at.reconcile()

    assert at.api.store.get(DEPLOYMENT)
    assert writes(at.api)[0] == f"PATCH apps/deployments {NAME}"


async def test_what_is_no_longer_wanted_is_deleted(at: Desk) -> None:
    at.create(exposure={"ingress": {"host": "calls.example.com"}})
    await at.reconcile()
    ingress = Key("networking.k8s.io", "ingresses", NAMESPACE, NAME)
    assert at.api.store.get(ingress)

    at.patch(spec={"exposure": None})
    await at.reconcile()

    assert ingress not in at.api.store.objects


async def test_what_only_carries_our_labels_is_not_deleted(at: Desk) -> None:
    """Somebody may copy an object of ours, labels and all; without the owner it is theirs."""
    at.create()
    await at.reconcile()
    copied = Key("", "configmaps", NAMESPACE, "copied")
    labels = {AGENT_LABEL: NAME, MANAGED_BY: "batkol-operator"}
    at.api.store.create(copied, {"metadata": {"name": "copied", "namespace": NAMESPACE, "labels": labels}})

    await at.reconcile()

    assert copied in at.api.store.objects


async def test_a_secret_that_cannot_be_watched_is_replaced_every_resync(at: Desk) -> None:
    at.create()
    await at.reconcile()
    at.api.store.delete(SECRET)

    await at.reconcile()
    assert SECRET not in at.api.store.objects, "nothing shows that it is gone"

    await asyncio.sleep(at.context.resync_s)
    await at.reconcile()
    assert at.api.store.get(SECRET)


async def test_what_the_watches_missed_is_found_by_listing(at: Desk) -> None:
    at.create()
    await at.reconcile()
    follower = at.api.followers.pop()
    at.api.store.delete(DEPLOYMENT)
    at.api.followers.append(follower)

    await at.reconcile()
    assert DEPLOYMENT not in at.api.store.objects, "it is not listed at every pass"

    await asyncio.sleep(at.context.resync_s * RESYNCS_PER_LISTING)
    await at.reconcile()
    assert at.api.store.get(DEPLOYMENT)


async def test_the_status_is_of_the_shape_that_the_schema_has(at: Desk) -> None:
    from batkol_operator.model.status import Status

    at.create()
    await at.reconcile()

    status = Status.model_validate(at.status)
    assert status.model_dump(by_alias=True, exclude_none=True, mode="json") == json.loads(json.dumps(at.status))
    assert {condition.type for condition in status.conditions} == {"Ready", "Available", "TuningApplied", "Stalled"}
    assert {condition.observed_generation for condition in status.conditions} == {1}


async def test_a_status_that_somebody_edits_is_put_right_and_announces_nothing(at: Desk) -> None:
    at.create()
    await at.reconcile()
    right, told = at.status, at.events

    at.patch(subresource="status", status={"replicas": 7, "conditions": []})
    await at.reconcile()

    assert (at.status, at.events) == (right, told)


async def test_figures_that_change_all_the_time_are_written_once_a_second(at: Desk) -> None:
    """A rollout changes the Deployment's status many times a second; what somebody may wait for goes out at once."""
    at.create()
    await at.reconcile()
    at.patch(DEPLOYMENT, subresource="status", status={"replicas": 1})
    outcome = await at.reconcile()
    assert (at.status["replicas"], outcome.result) == (0, "unchanged")
    assert 0 < outcome.next_in <= 1

    at.roll_out(1)
    await at.reconcile()
    assert (at.status["replicas"], at.condition("Available")["status"]) == (1, "True")


async def test_deleting_the_agent_leaves_nothing(at: Desk) -> None:
    at.create()
    await at.reconcile()

    at.api.store.delete(AGENT)

    assert [key for key in at.api.store.objects if key.plural != "events"] == []
