"""A drain, whatever its calls do meanwhile: real calls that speak, stop, or never end, and every timer late."""

from __future__ import annotations

import asyncio
import random

import pytest

from batkol.audio import mulaw
from batkol.calls.call import Call
from batkol.calls.drain import Drain
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.vad.scheduler import VadScheduler
from support.speech.recognizer import TimedRecognizer
from support.time.virtual import in_virtual_time
from support.twilio.calls import new_call, services, sid
from support.twilio.line import Line
from support.vad.inline_jobs import InlineJobs
from support.vad.level_engine import LOUD, LevelEngine

TIMEOUT_S = 30.0
CALLS = 6
LATE_S = 0.2
LATENESS_S = 10 * LATE_S
"""What late timers may add to a drain: of its own waits and of the calls', one after the other."""


class Caller:
    """One call and who speaks in it: for a while, or beyond the drain."""

    def __init__(self, shared: Services, calls: CallRegistry, chance: random.Random) -> None:
        self.call: Call = new_call(shared)
        self.chance = chance
        self.leaves_s = chance.choice([chance.uniform(0, TIMEOUT_S), 10 * TIMEOUT_S])
        self.line = Line()
        assert calls.admit(self.call)
        self._calls = calls

    async def run(self) -> None:
        speaking = asyncio.create_task(self._speak())
        await self.call.run(self.line, self.line.direct)
        self._calls.release(self.call)
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.leaves_s
        await asyncio.sleep(0)
        self.line.start()
        loud = 0
        while loop.time() < until:
            loud = loud - 1 if loud else self.chance.randrange(20)
            for _ in range(5):  # half a second, as it is spoken
                self.line.media(sound=LOUD[:800] if loud else mulaw.silence(800))
            await asyncio.sleep(0.5)
        self.line.say("stop", stop={"accountSid": "AC", "callSid": "CA"})


@pytest.mark.parametrize("seed", range(6))
def test_a_drain_ends_within_its_time_and_every_call_was_ended_and_heard_out(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        google = TimedRecognizer(lambda: chance.choice([0.3, 3.0, 60.0]))
        async with services(vad=VadScheduler(LevelEngine(), thread=InlineJobs()), single=google) as shared:
            calls = CallRegistry(limit=CALLS)
            drain = Drain(calls, timeout_s=TIMEOUT_S)
            loop = asyncio.get_running_loop()
            async with asyncio.TaskGroup() as tasks:
                callers = [Caller(shared, calls, chance) for _ in range(CALLS)]
                for caller in callers:
                    tasks.create_task(caller.run())
                await asyncio.sleep(chance.uniform(0, 5))
                begun = loop.time()
                orders = [tasks.create_task(drain.run()) for _ in range(2)]
                await asyncio.sleep(chance.uniform(0, TIMEOUT_S))
                assert not calls.reserve(sid())
                await asyncio.wait(orders)
                took_s = loop.time() - begun
            assert took_s <= drain.longest_s + LATENESS_S
            assert len(calls) == 0
            for caller in callers:
                stays = caller.leaves_s > TIMEOUT_S
                assert caller.call.ended_by == ("drained" if stays else "stop")
                assert caller.line.closed == [1001 if stays else 1000]
                assert caller.call.reporter.ended
                figures = caller.call.reporter.figures
                assert sum(figures.finals.values()) == figures.utterances

    in_virtual_time(scene(), random.Random(seed), LATE_S)
