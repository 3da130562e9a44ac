"""Runs one row of the failure table of replies on the real wires, and says what the caller's ear heard, and when."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from batkol.events.events import CallEnded, ReplyEnded, ReplyStarted
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall
from batkol.simulators.speaker.server import VoiceDouble
from batkol.simulators.twilio.caller import Caller, CallReport, SpokenPiece, place_call
from batkol.simulators.twilio.ear import EarWord
from batkol.tools.definition import ToolDefinition
from batkol.voices.marked.voice import say
from reliability.reply_rows import (
    ANSWER_S,
    ANSWERS,
    FILLER,
    FILLER_S,
    FIRST,
    PHRASES,
    SECOND,
    ReplyRow,
    ToolAnswer,
)
from reliability.watching import LogBook, logged
from support.agent.fragments import same
from support.http.one_answer import answering, http
from support.network.relay import Relay, relaying
from support.service.stack import Stack, stack
from support.whisper.server import hearing_whisper

_LONGEST_S: Final = 30.0  # of one turn
_TEXT_S: Final = 0.4  # after the last sample its text is known, and the end of speech is not
_PHRASES: Final = 3  # filler, apology, repeat; the goodbye is spoken last
_DAY: Final = msgspec.Raw(b'{"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}')


class ReplyResult(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table. Times in seconds after the caller's last sample; None: nothing was heard."""

    name: str
    group: str
    what: str
    heard: list[str]
    then_heard: list[str]
    first_s: float | None
    """To the first sound, which may be the filler's."""
    answer_s: float | None
    """To the first sound of an answer, an apology or "please repeat"."""
    then_s: float | None
    """The same of the second question."""
    asked: int
    """Requests to the language model."""
    warnings: list[str]
    problems: list[str]
    late: list[str]
    """What came later than it must. On a machine that is busy with other work that is no fault of the service."""


@dataclass
class Trial:
    """One call under way, as a row's step uses it."""

    row: ReplyRow
    up: Stack
    llm: LLMDouble
    voice: VoiceDouble
    ways: dict[str, Relay]
    caller: Caller
    asked: list[SpokenPiece] = field(default_factory=list)

    @property
    def sid(self) -> str:
        return self.caller.plan.call_sid

    def of(self, kind: type[Any]) -> list[Any]:
        return self.up.heard.of(self.sid, kind)

    async def until(self, kind: type[Any], count: int) -> None:
        await self.up.heard.until(lambda: len(self.of(kind)) >= count, within=_LONGEST_S)

    async def heard_a_word(self) -> None:
        """Wait until the caller's ear has a word of the reply."""
        async with asyncio.timeout(_LONGEST_S):
            while not self.caller.report.ear.words():
                await asyncio.sleep(0.02)

    async def announce(self, text: str) -> None:
        async with httpx.AsyncClient(base_url=self.up.internal, trust_env=False, verify=False) as http:
            answer = await http.post(f"/v1/calls/{self.sid}/say", json={"text": text})
            assert answer.status_code == 202, answer.text

    async def talk(self) -> None:
        """Ask the first question under the fault, and the second one without it."""
        row = self.row
        self._break()
        self.asked.append(await self.caller.say(say(list(FIRST)).mulaw))
        if row.held_s:
            await asyncio.sleep(_TEXT_S)
            self.ways["caller"].swallow()
            await asyncio.sleep(row.held_s - _TEXT_S)
            self.ways["caller"].release()
        await self.until(ReplyStarted, 1)
        if row.mid is not None:
            await row.mid(self)
        if row.last:
            return
        if row.interrupts:
            self._mend()
            await asyncio.sleep(1.0)
            self.asked.append(await self.caller.say(say(["לא", *SECOND]).mulaw))
            await self.until(ReplyEnded, 2)
            return
        await self.until(ReplyEnded, row.replies)
        await asyncio.sleep(row.held_s)  # the ear is later than the service thinks
        self._mend()
        self.asked.append(await self.caller.say(say(list(SECOND)).mulaw))
        await self.until(ReplyEnded, row.replies + 1)

    def _break(self) -> None:
        self.llm.inject(*self.row.llm)
        self.voice.inject(*self.row.voice)
        self.up.double.inject(*self.row.google)
        if self.row.dead:
            self.ways[self.row.dead].swallow()

    def _mend(self) -> None:
        for double in (self.llm, self.voice, self.up.double):
            double.clear()
        if self.row.dead:
            self.ways[self.row.dead].cut()
            self.ways[self.row.dead].release()


@asynccontextmanager
async def ground(row: ReplyRow, live: Path) -> AsyncIterator[tuple[Stack, LLMDouble, VoiceDouble, dict[str, Relay]]]:
    """Bring everything up."""
    async with AsyncExitStack() as exits:
        llm = await exits.enter_async_context(LLMDouble(LLMSettings(profile="fixed:350", api_key=row.key)))
        voice = await exits.enter_async_context(VoiceDouble())
        llm.script(*_rules(row))
        ports = {"llm": int((await llm.start()).split(":")[2].partition("/")[0]), "voice": await voice.start()}
        ways: dict[str, Relay] = {}
        if row.dead:
            ways[row.dead] = await exits.enter_async_context(relaying(ports[row.dead]))
            ports[row.dead] = ways[row.dead].port
        settings: dict[str, Any] = {
            "agent_replies": True,
            "answerer": "openai",
            "answerer_url": f"http://127.0.0.1:{ports['llm']}/v1",
            "answerer_model": "double",
            "voice": "openai",
            "voice_url": f"http://127.0.0.1:{ports['voice']}/v1",
            "voice_model": "tts-1",
            "voice_api_key": "any",
            "agent_phrases": PHRASES,
            **row.settings,
        }
        if row.tool is not None:
            settings["tools"] = (await exits.enter_async_context(_tool(row.tool, llm)),)
        if row.whisper:
            settings["whisper_url"] = (await exits.enter_async_context(hearing_whisper())).url
        up = await exits.enter_async_context(stack(live, streaming=row.streaming, **settings))
        async with asyncio.timeout(_LONGEST_S):
            while len(voice.records) < _PHRASES + 1 or any(each.ended_at is None for each in voice.records):
                await asyncio.sleep(0.01)
        if row.held_s:
            ways["caller"] = await exits.enter_async_context(relaying(up.service.port))
        yield up, llm, voice, ways


def _rules(row: ReplyRow) -> list[Rule]:
    """Return the answers; where there is a tool, that to the first question comes after its result."""
    if row.tool is None:
        return [Rule(contains, answer) for contains, answer in ANSWERS.items()]
    (first, answer), *others = ANSWERS.items()
    call = ScriptedCall("book", "{}" if row.tool is ToolAnswer.NOT_ASKED else '{"day": "מחר"}')
    return [Rule(first, tool=call), Rule(first, answer, result=""), *(Rule(*other) for other in others)]


@asynccontextmanager
async def _tool(does: ToolAnswer, llm: LLMDouble) -> AsyncIterator[ToolDefinition]:
    """Run the webhook of a tool."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        if does is ToolAnswer.HANGS:
            await asyncio.Event().wait()
        if does is ToolAnswer.MODEL_STALLS:
            llm.inject(LLMFault(kind=LLMFaultKind.STALL))
        status = "500 Internal Server Error" if does is ToolAnswer.FAILS else "200 OK"
        await http(status, "נקבע".encode())(writer)

    async with answering(answer) as (url, _):
        yield ToolDefinition(name="book", url=url, parameters=_DAY)


async def run(row: ReplyRow, live: Path) -> ReplyResult:
    """Run it once. Raises only for what is broken in the harness, or if the service does not even start."""
    with logged() as log:
        async with ground(row, live) as (up, llm, voice, ways):
            asked = len(llm.records)
            trials: list[Trial] = []

            async def script(caller: Caller) -> None:
                trials.append(Trial(row, up, llm, voice, ways, caller))
                await trials[0].talk()

            problems: list[str] = []
            report: CallReport | None = None
            try:
                plan = up.plan()
                if row.held_s:
                    plan = dataclasses.replace(plan, base_url=f"http://127.0.0.1:{ways['caller'].port}")
                report = await place_call(plan, script)
            except* TimeoutError:
                problems.append("a turn had no end: the caller heard no reply")
            if report is not None:
                await up.heard.until(lambda: up.heard.of(report.call_sid, CallEnded))
                problems += [f"Twilio {violation.code}: {violation.text}" for violation in report.violations]
            return _judged(trials[0], log, problems, len(llm.records) - asked)


def _judged(trial: Trial, log: LogBook, problems: list[str], asked: int) -> ReplyResult:
    row, pieces = trial.row, trial.asked
    words = trial.caller.report.ear.words()
    lag_s = trial.up.service.heartbeat.loop_lag() + trial.caller.report.latest
    split = pieces[1].begun_at if len(pieces) > 1 else math.inf
    turns = [[w for w in words if w.begins_at < split], [w for w in words if w.begins_at >= split]]
    times = [_times(turn, piece) for turn, piece in zip(turns, pieces, strict=False)]
    (first_s, answer_s), (then_first_s, then_s) = [*times, (None, None), (None, None)][:2]
    late = _late(first_s, answer_s, lag_s + row.held_s, row.answer_s - row.held_s)
    late += _late(then_first_s, then_s, lag_s) if not row.last else []
    heard, then_heard = ([word.text for word in turn] for turn in turns)
    result = ReplyResult(
        name=row.name,
        group=row.group,
        what=row.what,
        heard=heard,
        then_heard=then_heard,
        first_s=first_s,
        answer_s=answer_s,
        then_s=then_s,
        asked=asked,
        warnings=log.at_least("warning", "error", "critical"),
        problems=problems,
        late=late,
    )
    return msgspec.structs.replace(result, problems=[*problems, *_wrong(trial, result, log)])


def _times(turn: Sequence[EarWord], piece: SpokenPiece) -> tuple[float | None, float | None]:
    """Return the time to the first sound and to the first one that is no filler."""
    sounds = [word for word in turn if word.ends_at > piece.ended_at]
    first = next((word.begins_at - piece.ended_at for word in sounds), None)
    answer = next((word.begins_at - piece.ended_at for word in sounds if word.text not in FILLER), None)
    return first, answer


def _late(first_s: float | None, answer_s: float | None, lag_s: float, within_s: float = ANSWER_S) -> list[str]:
    found = []
    for what, took, limit in (("first sound", first_s, FILLER_S), ("answer", answer_s, within_s)):
        if took is None or took > limit + lag_s:
            found.append(f"{what} after {'no time' if took is None else f'{took:.2f} s'}, not {limit} s")
    return found


def _wrong(trial: Trial, result: ReplyResult, log: LogBook) -> list[str]:
    row, found = trial.row, list[str]()
    heard, then = result.heard, result.then_heard
    if not row.interrupts and not any(same(heard, each) for each in row.hears):
        found.append(f"the caller heard {heard}, and not one of {row.hears}")
    behind = then[-len(row.then_hears[0]) :] if row.interrupts else then  # the reply that was interrupted
    if not row.last and not any(same(behind, each) for each in row.then_hears):
        found.append(f"then the caller heard {then}, and not one of {row.then_hears}")
    started, ended = trial.of(ReplyStarted), trial.of(ReplyEnded)
    if len({event.reply_id for event in started}) != len(started) or len(started) != len(ended):
        found.append(f"{len(started)} replies began and {len(ended)} ended")
    expected = row.replies + (not row.last)
    if len(started) != expected:
        found.append(f"{len(started)} replies to {len(trial.asked)} questions, not {expected}")
    if row.says and not log.says(row.says):
        found.append(f"the log never said {row.says!r}")
    return found
