"""The reconciler over HTTP, in real time: what its parts say to a server comes through as it is meant."""

from __future__ import annotations

from batkol_operator.kube.names import PAUSED
from support.kube.front import writes
from support.operators.desk import AGENT, DEPLOYMENT, LIVE, NAME, Desk


async def test_an_agent_is_made_changed_put_right_and_paused(wired: Desk) -> None:
    wired.create()
    assert (await wired.reconcile()).result == "applied"
    assert f"PATCH apps/deployments {NAME}" in wired.api.seen
    assert ((await wired.reconcile()).result, wired.api.seen) == ("unchanged", [])

    wired.patch(spec={"recognition": {"batchMilliseconds": 240}})
    await wired.reconcile()
    assert "240" in wired.api.store.get(LIVE)["data"]["tuning.json"]
    wired.patch(LIVE, data={"tuning.json": "{}"})
    await wired.reconcile()
    assert writes(wired.api)[:2] == [f"PATCH /configmaps {NAME}-live"] * 2, "without force, and then with it"
    assert "240" in wired.api.store.get(LIVE)["data"]["tuning.json"]
    assert wired.condition("Contested")["message"].startswith(
        f"kubectl-edit changed .data.tuning.json of ConfigMap {NAME}-live. The operator sets it back at once."
    )

    wired.patch(metadata={"annotations": {PAUSED: "true"}})
    assert (await wired.reconcile()).result == "paused"
    wired.api.store.delete(AGENT)
    assert [key for key in wired.api.store.objects if key.plural != "events"] == []


async def test_what_admission_refuses_is_said_in_its_words_until_it_does_not(wired: Desk) -> None:
    wired.create()
    said = 'admission webhook "images.example.com" denied the request: no such registry'
    fault = wired.api.fail("PATCH", "apps", "deployments", code=400, reason="BadRequest", message=said)

    assert (await wired.reconcile()).retry
    assert said in wired.condition("Stalled")["message"]

    fault.times = 0
    await wired.reconcile()
    assert DEPLOYMENT in wired.api.store.objects
    assert wired.condition("Stalled")["status"] == "False"
