"""Places, whenever things come: webhooks, streams and ends in random order, and every timer late."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from batkol.calls.call import Call
from batkol.calls.ending import ENDING_S
from batkol.calls.heartbeat import Heartbeat
from batkol.calls.memory import RESERVED_S
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.vad.scheduler import VadScheduler
from support.time.virtual import in_virtual_time
from support.twilio.calls import new_call, services, sid
from support.vad.inline_jobs import InlineJobs
from support.vad.level_engine import LevelEngine

LIMIT = 4
CALLERS = 30
LATE_S = 5.0


class House:
    """Callers who do whatever callers do. After each step, no more calls hold a place, or a promise, than may."""

    def __init__(self, shared: Services, chance: random.Random) -> None:
        self.calls = CallRegistry(limit=LIMIT)
        self.chance = chance
        self.served = self.refused = 0
        self._shared = shared
        self._streams = itertools.count(1)

    def check(self) -> None:
        promised = sum(call_sid not in self.calls._live for call_sid in self.calls._reserved)
        assert self.calls.active + promised <= LIMIT

    async def pause(self, longest_s: float) -> None:
        await asyncio.sleep(self.chance.uniform(0.0, longest_s))
        self.check()

    async def caller(self) -> None:
        call_sid = sid()
        await self.pause(200)
        if self.chance.random() < 0.8 and not self.calls.reserve(call_sid, "first"):
            self.refused += 1
            return
        await self.pause(1.5 * RESERVED_S)
        match self.chance.randrange(8):
            case 0:
                self.calls.forget(call_sid)
            case 1:
                self.calls.forget_stream(call_sid, "first")
            case 2:
                pass  # the stream never comes
            case _:
                await self.streams(call_sid)
        self.check()

    async def streams(self, call_sid: str) -> None:
        """One stream after the other; some take the place of the one before while it goes on."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.chance.choice([1, 1, 2, 5])):
                call = new_call(self._shared, call_sid, f"MZ{next(self._streams):032x}")
                if not self.calls.admit(call):
                    self.refused += 1
                    call.discard()
                    return
                self.served += 1
                self.check()
                tasks.create_task(self.live(call))
                await self.pause(20)
                if self.chance.random() < 0.3:
                    self.calls.reserve(call_sid, "next")
                    self.check()

    async def live(self, call: Call) -> None:
        await self.pause(30)
        call.end("stop")
        self.check()
        await self.pause(1.5 * ENDING_S)  # its last finals
        for _ in range(self.chance.choice([1, 2])):
            self.calls.release(call)
            self.check()
        call.discard()


@pytest.mark.parametrize("seed", range(8))
def test_the_limit_holds_and_no_place_leaks_whatever_comes_when(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        async with services(vad=VadScheduler(LevelEngine(), thread=InlineJobs())) as shared:
            house = House(shared, chance)
            heartbeat = Heartbeat(house.calls, shared.metrics)
            running = asyncio.create_task(heartbeat.run())
            async with asyncio.TaskGroup() as tasks:
                for _ in range(CALLERS):
                    tasks.create_task(house.caller())
            await asyncio.sleep(RESERVED_S)
            assert house.served
            assert house.refused, "nobody met the limit"
            assert (len(house.calls), house.calls._occupied()) == (0, 0)
            assert [house.calls.reserve(sid()) for _ in range(LIMIT + 1)] == [True] * LIMIT + [False]
            assert await house.calls.drain(60)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    in_virtual_time(scene(), random.Random(seed), LATE_S)
