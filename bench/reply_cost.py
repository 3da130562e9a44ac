"""CPU of replying alone: many conversations at their pace in a process of their own, and the same calls without them.

A call has a turn each ten seconds: the events of the load of `bench/tracing_cost.py`, and a reply of about forty tokens
(echo: the caller's own words). The conversation, its playout and its reporter are the service's; the peer is in memory
and echoes the playout's marks, so no socket to Twilio is written. The language model and the voice are doubles on the
other core. What the process takes beyond one whose calls have no agent is the cost.

A core that shares its hardware with a busy neighbour takes up to twice the CPU time for the same work. So each process
also times a fixed loop, before and after its calls, and the limits count for a core that runs it in `UNDISTURBED_S`. A
core that runs it in less is not slowed down to that: the loop is arithmetic, and a newer core gains more on it than on
the work of calls, which waits for memory. There the figures count as they are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import structlog
import uvloop

from batkol.answering.answerer import Answerer
from batkol.answering.echo import Echo
from batkol.answering.openai import OpenAIAnswerer
from batkol.calls.playout import Playout
from batkol.calls.publisher import Publisher
from batkol.calls.reply_reporter import ReplyReporter
from batkol.conversation.agent import Agent, AgentSettings, Speakers
from batkol.conversation.budget import SpeculationBudget
from batkol.conversation.conversation import CallSide, Conversation
from batkol.events.bus import Bus
from batkol.events.identity import Identity
from batkol.simulators.twilio.wire import TwilioWire
from batkol.speech.pieces import Cutter
from batkol.speech.tentative import Tentative
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.supervision.garbage import freeze_startup_objects
from batkol.transcription import events as heard
from batkol.twilio.messages import Mark, parse
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.openai import OpenAIVoice
from batkol.voices.voice import Voice
from parties import SERVER_CORE
from reply_parties import Arrangement, doubles

EVERY_S: Final = 10.0
SPEECH_S: Final = 2.3
INTERIM_S: Final = 0.2
QUESTION: Final = "אני רוצה לקבוע תור רופא היום בבקשה"
ANSWER: Final = "שלום תודה אני רוצה לקבוע פגישה מחר בוקר. מתי רופא היום בבקשה כתובת מספר טלפון עזרה."
LIMITS: Final = {"echo": 0.3, "llm": 1.0, "voice": 1.6}
"""Milliseconds of CPU for each call-second, by what answers: `voice` is the LLM's wire and the voice's."""
UNDISTURBED_S: Final = 0.14
"""CPU seconds of `fixed_loop` on such a core of the machine for which the limits were set."""


class Line:
    """A peer in memory that echoes the playout's marks."""

    def __init__(self, number: int) -> None:
        self.sid = f"MZ{number:032x}"
        self._wire = TwilioWire(stream_sid=self.sid, call_sid="CA", account_sid="AC")
        self.playout = Playout(self.sid)
        self.seconds = 0.0

    async def send(self, text: str) -> None:
        if '"mark"' in text:
            asyncio.get_running_loop().call_later(0.4, self._echo, json.loads(text)["mark"]["name"])

    def _echo(self, name: str) -> None:
        message = parse(self._wire.mark(name))
        if isinstance(message, Mark):
            self.playout.acknowledge_mark(message.mark.name)


async def one_call(agent: Agent | None, number: int, seconds: float) -> int:
    """Hold a call of that length; return the samples that were written to the caller."""
    loop = asyncio.get_running_loop()
    begun, line = loop.time(), Line(number)
    if agent is None:
        await _speak(loop, begun, seconds, number, None)
        return 0
    identity = Identity(call_sid=f"CA{number:032x}", stream_sid=line.sid, account_sid="AC0")
    side = CallSide(
        call_sid=identity.call_sid,
        stream_sid=line.sid,
        line=line.playout,
        since=lambda sample: loop.time() - begun - sample / 8000,
        observe=ReplyReporter(Publisher(identity, Bus()), structlog.get_logger(), log_transcripts=False).observe,
        hang_up=lambda _: None,
        transfer=lambda *_: None,
        log=structlog.get_logger(),
    )
    conversation = Conversation(agent, side, greet=False)
    tasks = [asyncio.create_task(line.playout.run(line.send)), asyncio.create_task(conversation.run())]
    await _speak(loop, begun, seconds, number, conversation)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return line.playout.written


async def _speak(
    loop: asyncio.AbstractEventLoop, begun: float, seconds: float, number: int, conversation: Conversation | None
) -> None:
    """Make the events of the caller's turns, whether or not a conversation takes them."""

    def observe(event: heard.TranscriptionEvent) -> None:
        if conversation is not None:
            conversation.observe(event)

    await asyncio.sleep(EVERY_S * (number % 17) / 17)
    index = 0
    while (began := loop.time()) - begun < seconds:
        at = round(8000 * (began - begun))
        utterance = Utterance(index=index, begin=at, speech_at=at, mode=Mode.STREAMING)
        index += 1
        observe(heard.UtteranceOpened(utterance, None))
        words = QUESTION.split()
        for step in range(round(SPEECH_S / INTERIM_S)):
            await asyncio.sleep(INTERIM_S)
            observe(heard.Interim(utterance, " ".join(words[: 1 + step * 2 // 3]), at + 1600 * step, settled=False))
        await asyncio.sleep(0.23)
        end = utterance.end = at + round(8000 * SPEECH_S)
        observe(Tentative(utterance, 1, QUESTION, end))
        await asyncio.sleep(0.35)
        observe(heard.SpeechStopped(utterance))
        await asyncio.sleep(0.12)
        utterance.source = Source.INTERIM
        observe(heard.FinalReady(utterance, QUESTION))
        await asyncio.sleep(max(0.0, began + EVERY_S - loop.time()))


def _agent(kind: str, llm: str, speaker: str) -> Agent | None:
    if kind == "none":
        return None
    answerer: Answerer = Echo() if kind == "echo" else OpenAIAnswerer(url=llm, model="double")
    voice: Voice = BuiltinVoice()
    if kind == "voice":
        voice = OpenAIVoice(url=speaker, model="tts-1", voice="alloy", api_key="any")
    settings = AgentSettings()
    speakers = Speakers(answerer, voice)
    return Agent(
        speakers=lambda _: speakers,
        cutter=Cutter,
        phrase=lambda _: None,
        budget=SpeculationBudget(100_000),
        language="he-IL",
        settings=lambda: settings,
    )


async def _make_words() -> None:
    """Have the built-in voice make its words, as the first calls of a process do once."""

    async def pieces() -> AsyncIterator[str]:
        yield f"{QUESTION} {ANSWER}"

    async with aclosing(BuiltinVoice().speak(pieces())) as sounds:
        async for _ in sounds:
            pass


def fixed_loop() -> float:
    """Return the CPU seconds of a loop that does the same each time."""
    before, value = time.process_time(), 0
    for number in range(2_000_000):
        value += number * number % 7
    return time.process_time() - before


async def loaded(kind: str, calls: int, seconds: float, llm: str, speaker: str) -> dict[str, float]:
    """Hold so many calls; return the CPU that they took and how much was said to the callers, in seconds."""
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    agent = _agent(kind, llm, speaker)
    await _make_words()
    freeze_startup_objects()  # as `batkol serve` does
    loops = [fixed_loop()]
    before = time.process_time()
    written = await asyncio.gather(*(one_call(agent, number, seconds) for number in range(calls)))
    took = time.process_time() - before
    loops.append(fixed_loop())
    if agent is not None and (speakers := agent.speakers("")).answerer is not None:
        await speakers.answerer.aclose()
        await speakers.voice.aclose()
    return {"cpu_s": took, "said_s": sum(written) / 8000, "loop_s": statistics.mean(loops)}


def _inside(kind: str, calls: int, seconds: float, llm: str, speaker: str) -> dict[str, float]:
    """Run `loaded` in a process of its own, on the server's core."""
    command = [sys.executable, __file__, kind, str(calls), str(seconds), llm, speaker]
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    finally:
        os.sched_setaffinity(0, mine)
    told: dict[str, float] = json.loads(done.stdout)
    return told


async def cost(calls: int, seconds: float, rounds: int) -> bool:
    """Print what replies cost, by what answers; return whether that is within the limits."""
    found: dict[str, list[float]] = {kind: [] for kind in LIMITS}
    undisturbed: dict[str, list[float]] = {kind: [] for kind in LIMITS}
    said: dict[str, float] = {}
    async with doubles(Arrangement(answer=ANSWER)) as (llm, speaker):
        for _ in range(rounds):
            idle = await asyncio.to_thread(_inside, "none", calls, seconds, llm, speaker)
            for kind, costs in found.items():
                told = await asyncio.to_thread(_inside, kind, calls, seconds, llm, speaker)
                costs.append(1000 * (told["cpu_s"] - idle["cpu_s"]) / calls / seconds)
                work = _undisturbed_s(told) - _undisturbed_s(idle)
                undisturbed[kind].append(1000 * work / calls / seconds)
                said[kind] = told["said_s"] / calls / seconds
    print(
        "| replies, six a minute | ms CPU per call-second, each round | median | on an undisturbed core, each round "
        "| median | limit | the agent speaks |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, costs in found.items():
        mended = undisturbed[kind]
        print(f"| {kind} | {_row(costs)} | {_row(mended)} | {LIMITS[kind]} | {100 * said[kind]:.0f} % |")
    return all(statistics.median(mended) <= LIMITS[kind] for kind, mended in undisturbed.items())


def _undisturbed_s(told: dict[str, float]) -> float:
    """Return the CPU seconds that a process would have taken on a core that no neighbour slows down."""
    return told["cpu_s"] * min(1.0, UNDISTURBED_S / told["loop_s"])


def _row(costs: list[float]) -> str:
    return f"{', '.join(f'{one:.2f}' for one in costs)} | {statistics.median(costs):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="one kind of calls, for `cost`")
    for name, kind in (("kind", str), ("calls", int), ("seconds", float), ("llm", str), ("speaker", str)):
        parser.add_argument(name, type=kind)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(loaded(given.kind, given.calls, given.seconds, given.llm, given.speaker))))


if __name__ == "__main__":
    main()
