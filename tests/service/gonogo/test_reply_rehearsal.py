"""Whether the agent's replies are rehearsed: the service's own word on the rehearsal's call, by setting and by flag."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from batkol.gonogo.checks import RehearsalLimits
from batkol.gonogo.reply_rehearsal import ReplyRehearsal
from batkol.gonogo.target import Target
from batkol.live.flag_definitions import REPLIES_FLAG, STREAMING_FLAG
from batkol.simulators.client.conversation import Internal
from batkol.status import AgentStatus
from support.service.stack import PUBLIC, TOKEN, Stack, stack

CALLER = "+972500000001"
FLAG = {
    "state": "ENABLED",
    "variants": {"answer": True, "hear": False},
    "defaultVariant": "answer",
    "targeting": {"if": [{"===": [{"var": "from"}, CALLER]}, "hear"]},
}
STREAMING = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}


def rehearsal(up: Stack, lines: list[str]) -> ReplyRehearsal:
    target = Target(url=up.url, internal=Internal(up.internal), public_url=PUBLIC, auth_token=TOKEN, caller=CALLER)
    return ReplyRehearsal(target, limits=RehearsalLimits(), deadline_s=10, write_line=lines.append)


@pytest.mark.parametrize("replies", [True, False])
async def test_a_call_that_the_flag_leaves_out_is_said_and_has_no_checks(replies: bool, tmp_path: Path) -> None:
    """AGENT_REPLIES alone says nothing of it, on or off."""
    lines: list[str] = []
    async with stack(tmp_path, agent_replies=replies) as up:
        (tmp_path / "flags.json").write_text(json.dumps({"flags": {STREAMING_FLAG: STREAMING, REPLIES_FLAG: FLAG}}))
        async with asyncio.timeout(10):
            while REPLIES_FLAG not in (state := up.service.status()).flags.defined:
                await asyncio.sleep(0.02)
        async with asyncio.TaskGroup() as tasks:
            begun = await rehearsal(up, lines).begin(state, tasks)

        assert begun is not None
        assert begun.result() == []
        (line,) = lines
        assert line.startswith("replies: the agent does not answer this call (flag agent-replies); no reply is")


async def test_where_neither_setting_nor_flag_has_the_agent_answer_no_call_is_placed(tmp_path: Path) -> None:
    lines: list[str] = []
    async with stack(tmp_path) as up, asyncio.TaskGroup() as tasks:
        assert await rehearsal(up, lines).begin(up.service.status(), tasks) is None

    assert lines == ["replies: the agent answers no caller (AGENT_REPLIES, flag agent-replies); no reply is rehearsed"]
    assert not up.heard.events


async def test_a_service_that_says_nothing_of_the_flag_is_taken_by_its_setting(tmp_path: Path) -> None:
    """One of the version before: its status has no `defined`."""
    lines: list[str] = []
    async with stack(tmp_path, max_calls=1) as up, asyncio.TaskGroup() as tasks:
        state = msgspec.structs.replace(up.service.status(), agent=AgentStatus(replies=True))
        begun = await rehearsal(up, lines).begin(state, tasks)

        assert begun is not None
        assert begun.done()  # there is place for one call: it comes first
        assert "does not answer this call" in lines[0]
