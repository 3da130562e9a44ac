"""Restarts, whatever dies when, and every timer late: never twice at once, never too soon, never given up."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from batkol.supervision.restarts import FIRST_S, LONGEST_HEARING_S, LONGEST_S, STEADY_S
from batkol.supervision.tasks import Tasks
from support.time.virtual import in_virtual_time

LATE_S = 0.5


class Life:
    """Work that lives as long as chance has it, and notes when."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.spans: list[tuple[float, float]] = []
        self.alive = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self.alive += 1
        assert self.alive == 1, "two lives at once"
        try:
            await asyncio.sleep(self.chance.choice([0.0, 0.0, 0.0, 1.0, 20.0, 2 * STEADY_S]))
            if self.chance.random() < 0.8:
                raise self.chance.choice([LookupError, OSError, ValueError])
        finally:
            self.alive -= 1
            self.spans.append((begun, loop.time()))


def check_waits(spans: list[tuple[float, float]], longest_s: float) -> None:
    """Compare each wait with the doubling that the deaths before it ask for, half of which is chance."""
    in_a_row = 0
    for (begun, died), (again, _) in pairwise(spans):
        if died - begun >= STEADY_S:
            in_a_row = 0
        full_s = min(longest_s, FIRST_S * 2**in_a_row)
        assert full_s / 2 <= again - died + 1e-6
        assert again - died <= full_s + LATE_S + 1e-6
        in_a_row += 1


@pytest.mark.parametrize("seed", range(8))
def test_each_task_is_tried_again_in_its_time_and_stays_gone_when_it_is_stopped(seed: int) -> None:
    async def scene() -> None:
        chance, tasks = random.Random(seed), Tasks()
        lives = {name: Life(chance) for name in ("needed", "other", "third")}
        async with AsyncExitStack() as stack:
            for name, life in lives.items():
                await tasks.own(stack, life.run, name, needed_to_hear=name == "needed")
            for _ in range(60):
                await asyncio.sleep(chance.uniform(0, 60))
                down = tasks.down()
                for name, life in lives.items():
                    assert tasks.deaths()[name] == len(life.spans)
                    assert life.alive or down[name], "it neither lives nor is it shown"
        counts = {name: len(life.spans) for name, life in lives.items()}
        await asyncio.sleep(10 * LONGEST_S)
        for name, life in lives.items():
            assert (len(life.spans), life.alive) == (counts[name], 0)
            assert len(life.spans) > 20
            check_waits(life.spans, LONGEST_HEARING_S if name == "needed" else LONGEST_S)

    in_virtual_time(scene(), random.Random(seed), LATE_S)
