"""`batkol call --stay`: the caller speaks, listens, and stays on the line until it or the service hangs up."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rich.console import Console

from batkol.client import Batkol
from batkol.events.events import ReplyEnded
from batkol.simulators.call_cli import CallOptions, carry_out
from batkol.simulators.client.conversation import Internal
from batkol.terminal_text import isolated
from batkol.voices.marked.voice import say
from support.service.stack import QUICK, Stack, stack

WORDS = ["שלום", "תודה"]


async def ctrl_c(_: Stack, __: str) -> None:
    os.kill(os.getpid(), signal.SIGINT)


async def service_hangs_up(up: Stack, call_sid: str) -> None:
    async with Batkol(up.internal) as batkol:
        await batkol.call(call_sid).hangup(goodbye=False)


@pytest.mark.parametrize(
    ("hang_up", "said"),
    [(ctrl_c, "hung up by the caller (1000)"), (service_hangs_up, "closed by the service (1000)")],
)
async def test_a_caller_who_stays_hears_the_answer_and_ends_well(
    hang_up: Callable[[Stack, str], Awaitable[None]], said: str, tmp_path: Path
) -> None:
    page = io.StringIO()
    async with stack(tmp_path, agent_replies=True, speed=QUICK) as up:
        plan = up.plan(say(WORDS).mulaw)
        options = CallOptions(plan, 1, Internal(up.internal), tuple(WORDS), stay=True)
        calling = asyncio.create_task(carry_out(options, Console(file=page, width=200)))
        await up.heard.until(lambda: up.heard.of(plan.call_sid, ReplyEnded))
        assert not calling.done()
        await hang_up(up, plan.call_sid)

        assert await calling == 0
    assert f"🔊 Agent: {isolated(' '.join(WORDS))}" in page.getvalue()
    assert said in page.getvalue().splitlines()[-1]
