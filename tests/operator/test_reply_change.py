"""A new prompt from the resource to the pods' own word, in virtual time; and where its text never comes to stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from support.kube.store import Key
from support.operators.world import World, world

pytestmark = pytest.mark.virtual_time

SECRET_WORDS = "מילים שאיש לא יקרא"
ECHO = {"answerer": {"kind": "Echo"}}
TOOL = {"name": "book", "url": "https://shop.example", "description": SECRET_WORDS}
SECOND_S = 1.0


def texts(around: World) -> Iterator[str]:
    """Yield every object that others read, but the agent's own spec and the ConfigMap that the pods read."""
    for key, found in around.front.store.objects.items():
        if key.plural == "voiceagents":
            yield json.dumps({**found, "spec": {}}, ensure_ascii=False)
        elif key.plural != "configmaps":
            yield json.dumps(found, ensure_ascii=False)


async def settle(around: World, key: Key, generation: int) -> None:
    async with asyncio.timeout(60):
        while (
            around.status(key).get("observedGeneration") != generation
            or around.condition(key, "ReplyApplied").get("status") != "True"
        ):
            await asyncio.sleep(0.01)


def edit(around: World, key: Key, **reply: Any) -> int:
    return int(around.edit(key, spec={"reply": reply})["metadata"]["generation"])


async def test_a_prompt_is_applied_within_a_second_by_the_pods_own_word() -> None:
    async with world() as (around, stack):
        await around.operate(stack)
        key = around.create("clinic", reply=ECHO)
        await settle(around, key, 1)
        first = around.status(key)["replyRevision"]
        begun = asyncio.get_running_loop().time()

        await settle(around, key, edit(around, key, prompt="Say little."))

        assert asyncio.get_running_loop().time() - begun <= SECOND_S, "by the clock of the test"
        assert around.status(key)["replyRevision"] != first
        assert around.pods.pods[around.started["clinic"]].reply == around.status(key)["replyRevision"]


async def test_the_status_counts_the_calls_that_use_the_prompt() -> None:
    async with world() as (around, stack):
        await around.operate(stack)
        key = around.create("clinic", reply=ECHO)
        await settle(around, key, 1)
        around.pods.pods[around.started["clinic"]].calls = 3
        await asyncio.sleep(40)

        status = around.status(key)
        assert (status["activeCalls"], status["replyCalls"], status["replies"]) == (3, 3, "Enabled")


async def test_a_pod_that_refuses_the_prompt_is_seen_and_the_tuning_stays_applied() -> None:
    async with world() as (around, stack):
        await around.operate(stack)
        key = around.create("clinic", reply=ECHO)
        await settle(around, key, 1)
        around.pods.pods[around.started["clinic"]].reply_refusals = ["reply.json: tools must be a list of tools."]
        edit(around, key, prompt="Say little.")
        await asyncio.sleep(5)

        assert around.condition(key, "ReplyApplied")["reason"] == "RefusedByPods"
        assert "tools must be a list of tools" in around.condition(key, "Ready")["message"]
        assert around.condition(key, "TuningApplied")["status"] == "True"


async def test_reply_settings_that_are_taken_away_leave_no_condition_behind() -> None:
    async with world() as (around, stack):
        await around.operate(stack)
        key = around.create("clinic", reply=ECHO)
        await settle(around, key, 1)
        around.edit(key, spec={"reply": None})
        await asyncio.sleep(5)

        assert around.condition(key, "ReplyApplied") == {}
        assert around.condition(key, "TuningApplied")["status"] == "True"
        assert not {"replyRevision", "replyCalls", "replies"} & around.status(key).keys()
        assert "reply.json" not in around.front.store.get(around.live("clinic"))["data"]


async def test_no_text_of_the_agent_comes_into_a_log_line_an_event_or_a_condition() -> None:
    reply = {**ECHO, "prompt": SECRET_WORDS, "greeting": SECRET_WORDS, "tools": [TOOL]}
    seen: list[str] = []
    with capture_logs() as logs:
        async with world() as (around, stack):
            await around.operate(stack)
            key = around.create("clinic", reply=reply)
            await settle(around, key, 1)
            seen += texts(around)
            around.front.fail("configmaps", code=422, times=2)
            edit(around, key, prompt=f"{SECRET_WORDS} 2", phrases={"filler": SECRET_WORDS})
            await asyncio.sleep(0.1)
            seen += texts(around)
            await asyncio.sleep(5)
            # What a definition older than the operator would let through, and the operator refuses.
            edit(around, key, voice={"kind": "Google", "then": "spare"}, prompt=SECRET_WORDS)
            await asyncio.sleep(5)
            seen += texts(around)

            assert around.condition(key, "Stalled")["reason"] == "InvalidSpec"
    assert len([text for text in seen if '"kind": "Event"' in text or '"involvedObject"' in text]) > 3
    assert [text for text in seen if SECRET_WORDS in text] == []
    assert logs
    assert SECRET_WORDS not in str(logs)
