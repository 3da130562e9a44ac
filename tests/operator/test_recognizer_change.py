"""Other recognizers from the resource to the pods' own word, in virtual time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support.kube.store import Key
from support.operators.world import World, world

pytestmark = pytest.mark.virtual_time

DEFAULT, SEARCH, SONIOX = "google-v1/default", "google-v1/command_and_search", "soniox/stt-rt-v5"
SECOND_S = 1.0
NEEDS_KEY = f"tuning.json: '{SONIOX}' needs SONIOX_API_KEY, which this process does not have"


async def settle(around: World, key: Key, generation: int) -> None:
    async with asyncio.timeout(60):
        while (
            around.status(key).get("observedGeneration") != generation
            or around.condition(key, "TuningApplied").get("status") != "True"
        ):
            await asyncio.sleep(0.01)


def edit(around: World, key: Key, **recognition: Any) -> int:
    return int(around.edit(key, spec={"recognition": recognition})["metadata"]["generation"])


async def test_another_order_is_applied_within_a_second_by_the_pods_own_word_and_rolls_no_pod() -> None:
    async with world() as (around, stack):
        await around.operate(stack)
        key = around.create("clinic")
        await settle(around, key, 1)
        deployment = around.front.store.get(around.deployment("clinic"))["spec"]
        first, begun = around.status(key)["tuningRevision"], asyncio.get_running_loop().time()

        await settle(around, key, edit(around, key, recognizer=SEARCH, order=[SEARCH, DEFAULT]))

        assert asyncio.get_running_loop().time() - begun <= SECOND_S, "by the clock of the test"
        assert around.status(key)["tuningRevision"] != first
        assert around.status(key)["inSync"] == "1/1"
        written = json.loads(around.front.store.get(around.live("clinic"))["data"]["tuning.json"])["recognition"]
        assert (written["recognizer"], written["order"]) == (SEARCH, [SEARCH, DEFAULT])
        assert around.front.store.get(around.deployment("clinic"))["spec"] == deployment


async def test_a_pod_that_lacks_the_account_is_seen_and_named_until_it_is_replaced() -> None:
    async with world() as (around, stack):
        await around.operate(stack)
        key = around.create("clinic")
        await settle(around, key, 1)
        pod = around.pods.pods[around.started["clinic"]]
        pod.refusals = [NEEDS_KEY]
        account = {"apiKeySecretRef": {"name": "soniox", "key": "api-key"}}
        edited = edit(around, key, order=[SONIOX, DEFAULT], soniox=account)
        await asyncio.sleep(5)

        applied = around.condition(key, "TuningApplied")
        assert (applied["status"], applied["reason"]) == ("False", "RefusedByPods")
        assert f"refused the configuration: {NEEDS_KEY}" in applied["message"]
        assert around.condition(key, "Ready")["status"] == "False"
        assert (around.status(key)["inSync"], around.status(key)["podsInSync"]) == ("0/1", 0)

        pod.refusals = []
        await settle(around, key, edited)
        assert around.status(key)["inSync"] == "1/1"
