"""Calls that last until a test ends them, each to one address: a pod's own, or the Service's."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from batkol.simulators.twilio.caller import Caller, CallOutcome, CallPlan, CallReport
from batkol.voices.marked.voice import script
from support.node.agent import GREETING, PUBLIC, TOKEN, Agent
from support.service.stack import words_of
from support.time.waiting import eventually

_QUIET: Final = script([], lead_ms=0, tail_ms=4000)
"""In which the agent greets."""
_PIECE: Final = script([["שלום", "אני", "רוצה"], ["כן", "תודה"]], lead_ms=500, gap_ms=3000, tail_ms=3000)


@dataclass
class Talk:
    """One call. The caller says the same two sentences again and again until `over` is set, and then hangs up."""

    agent: Agent
    address: str
    caller: Caller = field(init=False)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    said: int = 0  # how often
    _task: asyncio.Task[CallReport] = field(init=False)

    async def begin(self) -> None:
        """Place the call; returns when it has its stream."""
        plan = CallPlan(base_url=f"http://{self.address}:8080", public_url=PUBLIC, auth_token=TOKEN)
        self.caller = Caller(plan, self._talk)
        self._task = asyncio.create_task(self.caller.run())
        async with asyncio.timeout(60):
            await self.caller.started.wait()

    async def _talk(self, caller: Caller) -> None:
        await caller.say(_QUIET.mulaw)
        while not self.over.is_set():
            await caller.say(_PIECE.mulaw)
            self.said += 1

    @property
    def lives(self) -> bool:
        return not self._task.done()

    async def more(self, times: int = 1) -> None:
        """Wait until that much more has been said. Raises `AssertionError` if the call ends first."""
        wanted = self.said + times

        async def heard() -> bool:
            assert self.lives, f"the call has ended: {self.caller.report.ends}"
            return self.said >= wanted

        await eventually(heard, 60 * times)

    async def end(self) -> CallReport:
        """Let the caller finish the sentence and hang up; returns what came of the call."""
        self.over.set()
        return await self._task

    async def wrong(self) -> list[str]:
        """Say what was not as it should be with a call that is over: its end, its greeting, its words."""
        report = await self._task
        wrong = [str(each) for each in report.violations]
        end = (report.outcome, report.closed_by, report.close_code)
        if end != (CallOutcome.COMPLETED, "caller", 1000):
            wrong.append(f"ended as {end}")
        if (greetings := report.ear.texts().count(GREETING)) != 1:
            wrong.append(f"greeted {greetings} times")
        wanted = words_of(_PIECE) * self.said

        async def kept() -> bool:
            return len(await self.agent.texts(report.call_sid)) >= len(wanted)

        with suppress(TimeoutError):  # what is there by then is compared
            await eventually(kept, 60)
        if (texts := await self.agent.texts(report.call_sid)) != wanted:
            wrong.append(f"{wanted} were said, and {texts} are kept")
        return wrong


async def place(agent: Agent, count: int, address: str) -> list[Talk]:
    """Place calls to one address."""
    talks = [Talk(agent, address) for _ in range(count)]
    for talk in talks:
        await talk.begin()
    return talks
