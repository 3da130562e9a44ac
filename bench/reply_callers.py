"""Callers who ask and listen: what each said when, and what each heard of every reply."""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, leading_silence
from batkol.events.events import ReplyEnded, ReplyStarted
from batkol.simulators.twilio.caller import Caller, CallPlan, CallReport, SpokenPiece, place_call
from batkol.speech.lexicon import Ending, ending, lexicon
from batkol.voices.marked.voice import WORDS, SpokenAudio, say
from reply_parties import World

LONGEST_TURN_S: Final = 20.0
"""Seconds after which a turn counts as never answered."""

SENTENCE: Final = (4, 6)
"""Fewest and most words of a sentence."""

_RAMP_S: Final = 3.0


@dataclass(slots=True)
class Turn:
    """One sentence of the caller, and when it went out (monotonic seconds)."""

    text: str
    spoken: SpokenPiece
    answered: bool  # the reply ended in time


@dataclass
class Talk:
    """One call, while it is up and afterwards."""

    world: World
    caller: Caller
    draw: random.Random
    turns: list[Turn] = field(default_factory=list)
    report: CallReport = field(init=False)

    @property
    def sid(self) -> str:
        return self.caller.plan.call_sid

    def sentence(self) -> SpokenAudio:
        """Return a new sentence: one after which a caller need not go on, and that is more than mm-hm."""
        words, least = lexicon(), SENTENCE[0]
        while True:
            chosen = self.draw.sample(WORDS, self.draw.randint(*SENTENCE))
            text = " ".join(chosen)
            if ending(text) is Ending.WHOLE and len(words.telling(text)) >= least and not words.stops(text):
                return say(chosen)

    def answers(self) -> list[tuple[float, ReplyStarted]]:
        """Return the replies that began so far and are none of the agent's own phrases."""
        return [(at, event) for at, event in self.world.observed.of(self.sid, ReplyStarted) if event.phrase is None]

    def ended(self) -> list[tuple[float, ReplyEnded]]:
        """Return the answers that are over."""
        own = {event.reply_id for _, event in self.answers()}
        return [(at, event) for at, event in self.world.observed.of(self.sid, ReplyEnded) if event.reply_id in own]

    def reply_to(self, spoken: SpokenPiece, until: float = math.inf) -> ReplyEnded | None:
        """Return the first answer that began after the caller's last sample, once it is over."""
        begun = (event.reply_id for at, event in self.answers() if spoken.ended_at < at < until)
        first = next(begun, None)
        return next((event for _, event in self.ended() if event.reply_id == first), None)

    async def ask(self) -> Turn:
        """Say a sentence, and wait until its reply is over."""
        said = self.sentence()
        spoken = await self.caller.say(said.mulaw)
        answered = await self.world.observed.until(lambda: self.reply_to(spoken), LONGEST_TURN_S)
        turn = Turn(said.text, spoken, answered)
        self.turns.append(turn)
        return turn

    async def ask_and_go_on(self) -> None:
        """Say a sentence, and wait until its reply begins; what the agent still says is interrupted."""
        said, before = self.sentence(), len(self.answers())
        spoken = await self.caller.say(said.mulaw)
        answered = await self.world.observed.until(lambda: len(self.answers()) > before, LONGEST_TURN_S)
        self.turns.append(Turn(said.text, spoken, answered))

    async def pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self.draw.uniform(least, most))

    def first_sound_after(self, at: float) -> float | None:
        """Return when the ear first heard something of a sound that began after a time; silence is not heard."""
        heard = (
            sound.begins_at + leading_silence(bytes(sound.mulaw)) / SAMPLE_RATE
            for sound in self.report.ear.sounds
            if sound.begins_at > at
        )
        return min(heard, default=None)


Conduct = Callable[[Talk], Awaitable[None]]


async def conversations(up: World, calls: int, conduct: Conduct, seed: int = 1, **plan: float) -> list[Talk]:
    """Place calls side by side, hold each as `conduct` says, and return them when all are over."""

    async def one(number: int) -> Talk:
        draw = random.Random(f"{seed}/{number}")
        await asyncio.sleep(_RAMP_S * number / calls)
        talks: list[Talk] = []

        async def script(caller: Caller) -> None:
            talks.append(Talk(up, caller, draw))
            await asyncio.sleep(0.5)
            await conduct(talks[0])

        report = await place_call(CallPlan(base_url=up.url, seed=number, **plan), script)  # type: ignore[arg-type]
        if not talks:
            raise SystemExit(f"call {number} was not connected: {report.outcome}")
        if not report.clean:
            raise SystemExit(f"Twilio would have complained in call {number}: {report.violations}")
        talks[0].report = report
        return talks[0]

    return list(await asyncio.gather(*(one(number) for number in range(calls))))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value at that share of the sorted values; nan of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class MachineLoad:
    """The load of the machine while something is measured: figures beside other programs are noise."""

    def __init__(self) -> None:
        self._began = self._read()

    def told(self, talks: Sequence[Talk] = ()) -> str:
        """Return a sentence about the load since this was made, and about how late the callers' messages were."""
        busy, total = (now - then for now, then in zip(self._read(), self._began, strict=True))
        late = max((talk.report.latest for talk in talks), default=0.0)
        loads = " / ".join(f"{load:.1f}" for load in os.getloadavg())
        return (
            f"both cores {100 * busy / max(total, 1):.0f} % busy, load average {loads}, "
            f"callers' messages at most {1000 * late:.0f} ms late, {time.strftime('%H:%M')}"
        )

    @staticmethod
    def _read() -> tuple[int, int]:
        times = [int(each) for each in Path("/proc/stat").read_text().split(None, 9)[1:9]]
        return sum(times) - times[3] - times[4], sum(times)
