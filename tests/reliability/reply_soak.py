"""`make soak ARGS=--replies`: turns and turns with an agent that calls tools, while pods come and go.

Some callers stay on one pod, whose memory is read; the others come through a balancer to pods of which one is drained
and replaced again and again. Each caller asks, interrupts, says mm-hm, asks for what a tool does, or has the agent hang
up and calls again; each question must have one reply, whatever happens to the pods.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx

from batkol.events.events import ReplyStarted
from batkol.simulators.twilio.caller import Caller, CallPlan
from reliability.soak_pods import World, pods
from reliability.soak_readings import Meter, Reading, Slope, slope
from reliability.soak_talkers import Talker, Tally, is_told, problems
from reliability.soak_tools import ToolFate
from reliability.soak_verdict import LIMIT_KB_PER_MIN, SHORTEST_S, leaks
from support.service.process import Served
from support.service.stack import PUBLIC, TOKEN
from support.time.waiting import until

_UPDATE_MS: Final = (100.0, 2000.0)
"""From Twilio's word that a call is ended to the end of its stream."""
_QUIET_S: Final = 30.0
"""Seconds after the last call in which everything must be gone."""
_CONNECTIONS: Final = 4
"""A caller's that are kept for the next one: to the answerer, the voice, the tool and Twilio's REST API."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A soak of so many turns."""

    turns: int
    staying: int
    """Callers on the pod that stays."""
    moving: int
    """Callers whose pod is drained."""
    drain_every_s: float
    drains: float = math.inf
    """At most. A call that is drained more than three times, each time in its first 20 s, hears the apology."""
    seed: int = 0


@dataclass
class Findings:
    """What became of a soak."""

    plan: Plan
    tallies: list[Tally]
    """One a call."""
    readings: list[Reading] = field(default_factory=list)
    drains: int = 0
    replies: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def turns(self) -> Counter[str]:
        return sum((tally.turns for tally in self.tallies), Counter[str]())

    @property
    def fates(self) -> Counter[ToolFate]:
        """What became of the questions for tools."""
        return sum((tally.fates for tally in self.tallies), Counter[ToolFate]())

    @property
    def memory(self) -> Slope | None:
        """The growth of memory on the pod that stays, over the second half; None for a soak too short to tell."""
        calls = [reading for reading in self.readings if reading.calls]
        if not calls or calls[-1].at - calls[0].at < SHORTEST_S:
            return None
        half = (calls[0].at + calls[-1].at) / 2
        return slope([(reading.at, reading.rss_kb) for reading in calls if reading.at >= half])

    @property
    def wrong(self) -> list[str]:
        """Everything that is not as it must be."""
        growth = self.memory
        limit = f"{LIMIT_KB_PER_MIN * self.plan.staying:g} KB/min"
        leak = growth is not None and leaks(growth, self.plan.staying)
        return [*self.problems, *([f"memory grows by {growth}, more than {limit}"] if leak else [])]


@dataclass
class _Soak:
    """A soak under way."""

    plan: Plan
    world: World
    stays: Served
    found: Findings
    left: list[int]

    async def call_again_and_again(self, number: int) -> None:
        """Be one caller, until there were enough turns."""
        url = f"http://127.0.0.1:{self.stays.port}" if number < self.plan.staying else self.world.balancer.url
        draw = random.Random(f"{self.plan.seed}/{number}")
        while self.left[0] > 0:
            plan = CallPlan(base_url=url, public_url=PUBLIC, auth_token=TOKEN, update_ms=draw.uniform(*_UPDATE_MS))
            await self._call(plan, draw)

    async def _call(self, plan: CallPlan, draw: random.Random) -> None:
        tally = Tally()
        self.found.tallies.append(tally)

        async def script(caller: Caller) -> None:
            await Talker(self.world, caller, tally, draw, self.left).talk()

        caller = Caller(plan, script)
        self.world.enter(caller)
        try:
            tally.report = await caller.run()
        finally:
            self.world.leave(caller)

    async def measured(self, meter: Meter) -> None:
        """Hold all calls, and read the pod that stays before, meanwhile and after."""
        idle = await meter.idle(_QUIET_S)
        background = [
            asyncio.create_task(meter.follow(1.0)),
            asyncio.create_task(self.world.rotate(self.plan.drain_every_s, self.plan.drains)),
        ]
        callers = self.plan.staying + self.plan.moving
        await asyncio.gather(*(self.call_again_and_again(number) for number in range(callers)))
        for task in background:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.found.readings = list(meter.readings)
        kept = replace(idle, fds=idle.fds + _CONNECTIONS * self.plan.staying)
        left = await meter.until(lambda reading: reading.is_back_to(kept), _QUIET_S)
        if not left.is_back_to(kept):
            self.found.problems.append(f"left behind: {left}, and before the first call {idle}")


async def soak(plan: Plan, folder: Path) -> Findings:
    """Run it. What is wrong is in the findings."""
    found = Findings(plan, [])
    async with pods(folder, plan.seed) as (world, stays):
        async with httpx.AsyncClient(base_url=stays.internal, trust_env=False, verify=False) as http:
            await _Soak(plan, world, stays, found, [plan.turns]).measured(Meter(stays.process.pid, http))
        with suppress(TimeoutError):  # then `problems` says what is missing
            await until(lambda: all(is_told(world, tally) for tally in found.tallies), _QUIET_S)
        found.drains = world.drains
        for tally in found.tallies:
            found.problems += problems(world, tally)
            if tally.report is not None:
                found.replies += len(world.of(tally.report.call_sid, ReplyStarted))
    found.problems += world.faults
    return found


def told(found: Findings) -> str:
    """Say what became of a soak."""
    kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(found.turns.items()))
    again = sum(tally.asked_again for tally in found.tallies)
    rss = [reading.rss_kb // 1024 for reading in found.readings if reading.calls]
    lines = [
        f"{found.turns.total()} turns ({kinds})",
        f"in {len(found.tallies)} calls, with {found.replies} replies and {found.drains} drains;",
        f"{found.fates[ToolFate.CALLED]} questions for tools had their tool call;",
        *(f"{count} had none: {fate}" for fate, count in found.fates.items() if fate is not ToolFate.CALLED),
        f"{again} questions were asked again, whose words were lost while the call moved.",
        f"memory of the pod that stays: {rss[0]} MiB at first, {rss[-1]} MiB at last; {found.memory or 'too short'}",
        *(f"WRONG: {problem}" for problem in found.wrong),
    ]
    return "\n".join(lines)
