"""The callers of the soak of replies: they ask, interrupt, say mm-hm, ask for tools, and have the agent hang up."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from batkol.calls.reasons import HUNG_UP
from batkol.events.events import CallEnded, ReplyEnded, ReplyStarted, ToolCalled
from batkol.simulators.twilio.caller import Caller, CallReport
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.voices.marked.voice import say
from reliability.soak_pods import RULES, World
from reliability.soak_tools import ToolFate, ToolQuestion, course, fate_of
from support.speech.hums import mm_hms

QUESTION: Final = ("אני", "רוצה", "פגישה")
TOOLS: Final = {"lead": ("save_lead", "תור"), "webhook": ("book", "כתובת"), "hang-up": ("hang_up", "ערב")}
"""By kind of turn: the tool, and the word for which the model calls it."""
INTERRUPTION: Final = ("לא", "כמה", "מספר", "רופא")
HUMS: Final = tuple(clip.mulaw for clip in mm_hms(8))
KINDS: Final = (
    "question", "question", "question", "interruption", "interruption",
    "mm-hm", "mm-hm", "mm-hm", "mm-hm", "lead", "lead", "webhook", "webhook", "hang-up",
)  # fmt: skip
_PATIENCE_S: Final = 12.0
"""Seconds for a reply. A caller who moves meanwhile may lose the words of a second, and asks again."""
_PAUSE_S: Final = 0.4
_SOONER_S: Final = 10.0
"""Seconds between the end of a call's last stream and of the call."""


@dataclass
class Tally:
    """One call: the turns that were taken, and what is wrong with them."""

    report: CallReport | None = None
    turns: Counter[str] = field(default_factory=Counter)
    expected: int = 0
    """Replies."""
    asked_again: int = 0
    tool_questions: list[ToolQuestion] = field(default_factory=list)
    """Those that had a reply."""
    fates: Counter[ToolFate] = field(default_factory=Counter)
    """What became of them."""
    problems: list[str] = field(default_factory=list)


@dataclass
class Talker:
    """A caller who takes turns until there are enough, or until the agent hangs up."""

    world: World
    caller: Caller
    tally: Tally
    draw: random.Random
    left: list[int]  # turns of all callers; one number

    async def talk(self) -> None:
        while self.left[0] > 0:
            self.left[0] -= 1
            kind = self.draw.choice(KINDS)
            self.tally.turns[kind] += 1
            if kind == "hang-up":
                await self._have_it_hang_up()
                return
            await self._turn(kind)
            await asyncio.sleep(self.draw.uniform(_PAUSE_S, 2 * _PAUSE_S))

    async def _turn(self, kind: str) -> None:
        before = len(self._of(ReplyEnded))
        await self._ask(QUESTION if kind not in TOOLS else ("אני", "רוצה", TOOLS[kind][1]), before, tool=kind)
        if kind == "interruption" and len(self._of(ReplyEnded)) == before:
            await asyncio.sleep(self.draw.uniform(0.2, 0.8))
            await self._ask(INTERRUPTION, len(self._of(ReplyEnded)), then=1)
        elif kind == "mm-hm" and len(self._of(ReplyEnded)) == before:
            await asyncio.sleep(self.draw.uniform(0.2, 0.5))
            self.caller.say(self.draw.choice(HUMS))
        if not await self._until(lambda: len(self._of(ReplyEnded)) == len(self._of(ReplyStarted))):
            self.tally.problems.append(f"a reply of the {self.tally.turns.total()}th turn had no end")

    async def _have_it_hang_up(self) -> None:
        """Ask for it; where that works, the call is over before this returns. Twilio refuses one request of three."""
        if self.draw.random() < 1 / 3:
            fault = TwilioFault(kind=TwilioFaultKind.REFUSE, code=20001, times=1, contains=self.caller.plan.call_sid)
            self.world.rest.inject(fault)
        for _ in range(3):  # a call that moves between the reply and its tool loses the tool
            await self._ask(("אני", "רוצה", TOOLS["hang-up"][1]), len(self._of(ReplyEnded)))
            if await self._until(lambda: any(event.reason == HUNG_UP for event in self._of(CallEnded))):
                await asyncio.sleep(_SOONER_S)
                self.tally.problems.append("the agent hung up, and the call went on")
                return
            self.tally.asked_again += 1
        self.tally.problems.append("the agent did not hang up")

    async def _ask(self, words: tuple[str, ...], ended: int, then: int = 0, tool: str = "") -> None:
        """Say it, and wait for the first sound of its reply. Words that are lost while a call moves are said again."""
        begun = len(self._of(ReplyStarted))
        for _ in range(3):
            await self.caller.say(say(list(words)).mulaw)
            if await self._until(lambda: len(self._of(ReplyStarted)) > begun):
                self.tally.expected += 1
                if tool in TOOLS:
                    name, word = TOOLS[tool]
                    reply_id = self._of(ReplyStarted)[begun].reply_id
                    self.tally.tool_questions.append(ToolQuestion(name, word, reply_id))
                return
            self.tally.asked_again += 1
        self.tally.problems.append(f"no reply after {ended + then} replies")

    async def _until(self, happened: Callable[[], bool]) -> bool:
        until = time.monotonic() + _PATIENCE_S
        while not happened():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.05)
        return True

    def _of(self, kind: type[Any]) -> list[Any]:
        return self.world.of(self.caller.plan.call_sid, kind)


def problems(world: World, tally: Tally) -> list[str]:
    """Hold the replies, the tools and the end of a call to its questions."""
    if tally.report is None:
        return tally.problems
    sid = tally.report.call_sid
    started, ended = world.of(sid, ReplyStarted), world.of(sid, ReplyEnded)
    found = [f"the TwiML said {text!r}" for text in tally.report.said]
    found += tally.problems + [f"Twilio {each.code}: {each.text}" for each in tally.report.violations]
    if len(started) != tally.expected:
        known = {rule.answer for rule in RULES}
        odd = [(event.stream_sid[-4:], event.turn, event.intended) for event in ended if event.intended not in known]
        found.append(f"{len(started)} replies to {tally.expected} questions in a call; others: {odd}")
    if len({event.reply_id for event in started}) != len(started):
        found.append("a reply began twice")
    if len(ended) != len(started):
        found.append(f"{len(started)} replies began and {len(ended)} ended in a call")
    turns = [event.turn for event in started]
    if turns != list(range(1, len(turns) + 1)):
        found.append(f"the turns of a call are {turns}")
    return [*found, *_tools(world, tally, sid), *_end(world, tally, sid)]


def _tools(world: World, tally: Tally, sid: str) -> list[str]:
    """A tool is called for each question that asks for it, once: more often only where a moved call was asked again.

    A question that has no tool call for a reason that is none of the service's faults is counted by it (`ToolFate`).
    """
    events, found = world.all_of(sid), []
    for question in tally.tool_questions:
        fate = fate_of(question, events)
        tally.fates[fate] += 1
        if fate is ToolFate.MISSING:
            found.append(f"a question for {question.tool} had no tool call: {course(question, events)}")
    for kind, (name, _) in TOOLS.items():
        calls = [event for event in events if isinstance(event, ToolCalled) and event.name == name]
        called, wanted = [event.outcome for event in calls], tally.turns[kind]
        if called.count("done") > wanted + tally.asked_again or set(called) - {"done", "cancelled"}:
            ends = [(event.stream_sid[-4:], event.turn, event.outcome) for event in calls]
            found.append(f"{wanted} questions for {name}, whose calls ended so: {ends}")
    return found


def is_told(world: World, tally: Tally) -> bool:
    """Whether all that is to be heard of a call's end was heard: its last event comes after its last words."""
    return tally.report is None or not _end(world, tally, tally.report.call_sid)


def _end(world: World, tally: Tally, sid: str) -> list[str]:
    reasons = [event.reason for event in world.of(sid, CallEnded)]
    streams = None if tally.report is None else tally.report.streams
    left = world.left_early(sid) if streams != len(reasons) else 0
    return wrong_ends(reasons, streams, left, hung_up=bool(tally.turns["hang-up"]))


def wrong_ends(reasons: Sequence[str], streams: int | None, left: int, *, hung_up: bool) -> list[str]:
    """A call that the agent ended has no stream behind that end; one that the caller ended was not hung up.

    `reasons`: those of the `call.ended` of its streams. `left`: streams whose caller was gone before the call went on
    there. These are the last ones, and have no events.
    """
    if reasons.count(HUNG_UP) != hung_up or (hung_up and reasons[-1] != HUNG_UP):
        return [f"the streams of a call that the agent was{'' if hung_up else ' not'} to end ended so: {reasons}"]
    if not hung_up and streams is not None and streams != len(reasons) + left:
        return [f"{streams} streams of a call began, {len(reasons)} ended, and {left} were left early"]
    return []
