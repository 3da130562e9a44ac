"""`make soak ARGS=--replies`: turns and turns with an agent that calls tools, while pods come and go.

Some callers stay on one pod, whose memory is read; the others come through a balancer to pods of which one is drained
and replaced again and again. Each caller asks, interrupts, says mm-hm, or asks for what a tool does; each question must
have one reply, whatever happens to the pods.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from batkol.events.events import ReplyEnded, ReplyStarted, ToolCalled
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall
from batkol.simulators.speaker.server import VoiceDouble
from batkol.simulators.twilio.caller import Caller, CallPlan, CallReport, place_call
from batkol.voices.marked.voice import say
from reliability.soak_readings import Meter, Reading, Slope, slope
from reliability.soak_verdict import LIMIT_KB_PER_MIN, SHORTEST_S, leaks
from support.network.balancer import Balancer, balancing
from support.process.programs import free_ports
from support.service.process import Served, serving
from support.service.stack import PUBLIC, TOKEN
from support.speech.hums import mm_hms

QUESTION: Final = ("אני", "רוצה", "פגישה")
TOOL: Final = ("אני", "רוצה", "תור")
INTERRUPTION: Final = ("לא", "כמה", "מספר", "רופא")
HUMS: Final = tuple(clip.mulaw for clip in mm_hms(8))
RULES: Final = (
    Rule("רופא", "טלפון חשבון."),
    Rule("פגישה", "מחר בוקר. היום ערב. שלום תודה."),
    Rule("תור", tool=ScriptedCall("save_lead", '{"day": "מחר"}')),
    Rule("תור", "מחר תור.", result=""),
)
KINDS: Final = ("question", "question", "interruption", "mm-hm", "mm-hm", "tool")
_PODS: Final = 3
"""Places for pods that are drained in turn: one takes calls, one still answers its peers, one starts."""
_PATIENCE_S: Final = 12.0
"""Seconds for a reply. A caller who moves meanwhile may lose the words of a second, and asks again."""
_PAUSE_S: Final = 0.4


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A soak of so many turns."""

    turns: int
    staying: int
    """Callers on the pod that stays."""
    moving: int
    """Callers whose pod is drained."""
    drain_every_s: float
    seed: int = 0


@dataclass
class Tally:
    """One caller: the turns that were taken, and what is wrong with them."""

    report: CallReport | None = None
    turns: Counter[str] = field(default_factory=Counter)
    expected: int = 0
    """Replies."""
    asked_again: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """What became of a soak."""

    plan: Plan
    tallies: list[Tally]
    readings: list[Reading]
    drains: int = 0
    replies: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def turns(self) -> Counter[str]:
        return sum((tally.turns for tally in self.tallies), Counter[str]())

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


class World:
    """The pods by number, the balancer before those that are drained, and all events of all of them."""

    def __init__(self, folder: Path, environment: Mapping[str, str], google: int, balancer: Balancer) -> None:
        self._folder = folder
        self._google = google
        self._ports = free_ports(_PODS + 1)
        self._environment = {
            **environment,
            "FLEET_PEERS": ",".join(f"127.0.0.1:{port}" for port in self._ports),
            "DRAIN_TIMEOUT_S": "0",
        }
        self._all: list[Served] = []  # those that have ended, too: their events count
        self._stacks: dict[int, AsyncExitStack] = {}
        self.balancer = balancer
        self.drains = 0
        self.faults: list[str] = []

    async def start(self, number: int) -> Served:
        folder = self._folder / f"pod-{number}-{len(self._all)}"
        folder.mkdir(parents=True)
        stack = self._stacks[number] = AsyncExitStack()
        own: dict[str, Any] = {
            **self._environment,
            "POD_NAME": f"pod-{number}",
            "INTERNAL_PORT": str(self._ports[number]),
        }
        served = await stack.enter_async_context(serving(folder, self._google, **own))
        self._all.append(served)
        return served

    async def rotate(self, every_s: float) -> None:
        """Drain and replace the pod behind the balancer again and again; runs until cancelled."""
        number, old = 1, self._all[-1]
        while True:
            await asyncio.sleep(every_s)
            number = number % _PODS + 1
            if number in self._stacks:
                await self._end(number)
            new = await self.start(number)
            self.balancer.pod = new.port
            old.tell(signal.SIGTERM)
            self.drains += 1
            old = new

    async def _end(self, number: int) -> None:
        await self._stacks.pop(number).aclose()

    async def close(self) -> None:
        """End all pods, and keep what their logs say of faults."""
        for number in tuple(self._stacks):
            await self._end(number)
        for served in self._all:
            self.faults += [f"{served.log}: {line['event']}" for line in served.faults]

    def of(self, call_sid: str, kind: type[Any]) -> list[Any]:
        return [e for served in self._all for e in served.events if isinstance(e, kind) and e.call_sid == call_sid]


@dataclass
class Talker:
    """A caller who takes turns until there are enough."""

    world: World
    caller: Caller
    tally: Tally
    draw: random.Random
    left: list[int]  # turns of all callers; one number

    async def talk(self) -> None:
        while self.left[0] > 0:
            self.left[0] -= 1
            kind = self.draw.choice(KINDS)
            await self._turn(kind)
            self.tally.turns[kind] += 1
            await asyncio.sleep(self.draw.uniform(_PAUSE_S, 2 * _PAUSE_S))

    async def _turn(self, kind: str) -> None:
        before = len(self._of(ReplyEnded))
        await self._ask(TOOL if kind == "tool" else QUESTION, before)
        if kind == "interruption" and len(self._of(ReplyEnded)) == before:
            await asyncio.sleep(self.draw.uniform(0.2, 0.8))
            await self._ask(INTERRUPTION, len(self._of(ReplyEnded)), then=1)
        elif kind == "mm-hm" and len(self._of(ReplyEnded)) == before:
            await asyncio.sleep(self.draw.uniform(0.2, 0.5))
            self.caller.say(self.draw.choice(HUMS))
        if not await self._until(lambda: len(self._of(ReplyEnded)) == len(self._of(ReplyStarted))):
            self.tally.problems.append(f"a reply of the {sum(self.tally.turns.values())}th turn had no end")

    async def _ask(self, words: tuple[str, ...], ended: int, then: int = 0) -> None:
        """Say it, and wait for the first sound of its reply. Words that are lost while a call moves are said again."""
        begun = len(self._of(ReplyStarted))
        for _ in range(3):
            await self.caller.say(say(list(words)).mulaw)
            if await self._until(lambda: len(self._of(ReplyStarted)) > begun):
                self.tally.expected += 1
                return
            self.tally.asked_again += 1
        self.tally.problems.append(f"no reply after {ended + then} replies")

    async def _until(self, happened: Any) -> bool:
        until = time.monotonic() + _PATIENCE_S
        while not happened():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.05)
        return True

    def _of(self, kind: type[Any]) -> list[Any]:
        return self.world.of(self.caller.plan.call_sid, kind)


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[tuple[World, Served]]:
    """Bring up the doubles, the pod that stays, and the first of those that do not."""
    async with AsyncExitStack() as exits:
        google = await exits.enter_async_context(SpeechDouble(DoubleSettings()))
        llm = await exits.enter_async_context(LLMDouble(LLMSettings(profile="fixed:150")))
        voice = await exits.enter_async_context(VoiceDouble())
        llm.script(*RULES)
        environment = {
            "AGENT_REPLIES": "true",
            "ANSWERER": "openai",
            "ANSWERER_URL": await llm.start(),
            "ANSWERER_MODEL": "double",
            "VOICE": "openai",
            "VOICE_URL": f"http://127.0.0.1:{await voice.start()}/v1",
            "VOICE_MODEL": "tts-1",
            "VOICE_API_KEY": "any",
            "GREETING": "",
            "LEAD_FIELDS": '{"day": "The day that the caller wants."}',
        }
        balancer = await exits.enter_async_context(balancing(0))
        world = World(folder, environment, await google.start(), balancer)
        exits.push_async_callback(world.close)
        stays = await world.start(0)
        balancer.pod = (await world.start(1)).port
        yield world, stays


async def soak(plan: Plan, folder: Path) -> Findings:
    """Run it. What is wrong is in the findings."""
    tallies = [Tally() for _ in range(plan.staying + plan.moving)]
    async with _world(folder) as (world, stays):
        left = [plan.turns]

        async def call(number: int) -> None:
            url = f"http://127.0.0.1:{stays.port}" if number < plan.staying else world.balancer.url
            tally, draw = tallies[number], random.Random(f"{plan.seed}/{number}")
            call_plan = CallPlan(base_url=url, public_url=PUBLIC, auth_token=TOKEN)

            async def script(caller: Caller) -> None:
                await Talker(world, caller, tally, draw, left).talk()

            tally.report = await place_call(call_plan, script)

        async with httpx.AsyncClient(base_url=stays.internal, trust_env=False, verify=False) as http:
            meter = Meter(stays.process.pid, http)
            reading = asyncio.create_task(meter.follow(1.0))
            rotating = asyncio.create_task(world.rotate(plan.drain_every_s))
            await asyncio.gather(*(call(number) for number in range(len(tallies))))
            for task in (reading, rotating):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            found = Findings(plan, tallies, meter.readings, world.drains)
        _count(world, found)
    found.problems += world.faults
    return found


def _count(world: World, found: Findings) -> None:
    """Hold the replies of each call to its questions."""
    for tally in found.tallies:
        if tally.report is None:
            continue
        sid = tally.report.call_sid
        started, ended = world.of(sid, ReplyStarted), world.of(sid, ReplyEnded)
        found.replies += len(started)
        found.problems += [f"the TwiML said {text!r}" for text in tally.report.said]
        found.problems += tally.problems + [f"Twilio {each.code}: {each.text}" for each in tally.report.violations]
        if len(started) != tally.expected:
            known = {rule.answer for rule in RULES}
            odd = [
                (event.stream_sid[-4:], event.turn, event.intended) for event in ended if event.intended not in known
            ]
            found.problems.append(f"{len(started)} replies to {tally.expected} questions in a call; others: {odd}")
        called = [event.outcome for event in world.of(sid, ToolCalled)]
        if called.count("done") < tally.turns["tool"] or set(called) - {"done", "cancelled"}:
            found.problems.append(f"{tally.turns['tool']} questions for a tool, whose calls ended so: {called}")
        if len({event.reply_id for event in started}) != len(started):
            found.problems.append("a reply began twice")
        if len(ended) != len(started):
            found.problems.append(f"{len(started)} replies began and {len(ended)} ended in a call")
        turns = [event.turn for event in started]
        if turns != list(range(1, len(turns) + 1)):
            found.problems.append(f"the turns of a call are {turns}")


def told(found: Findings) -> str:
    """Say what became of a soak."""
    kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(found.turns.items()))
    again = sum(tally.asked_again for tally in found.tallies)
    rss = [reading.rss_kb // 1024 for reading in found.readings if reading.calls]
    lines = [
        f"{found.turns.total()} turns ({kinds}), {found.replies} replies, {found.drains} drains;",
        f"{again} questions were asked again, whose words were lost while the call moved.",
        f"memory of the pod that stays: {rss[0]} MiB at first, {rss[-1]} MiB at last; {found.memory or 'too short'}",
        *(f"WRONG: {problem}" for problem in found.wrong),
    ]
    return "\n".join(lines)
