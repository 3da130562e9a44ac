"""Slots that are shared fairly: one client that asks much, and others that ask little."""

from __future__ import annotations

import asyncio
import random

import pytest

from batkol.twilio_api.fair_slots import FairSlots

pytestmark = pytest.mark.virtual_time


class Asked:
    """Questions that take a second each, and the order in which they were begun."""

    def __init__(self, slots: int) -> None:
        self.slots = FairSlots(slots)
        self.order: list[str] = []
        self.most = 0
        self._under_way = 0

    async def ask(self, who: str) -> None:
        async with self.slots.slot(who):
            self.order.append(who)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            await asyncio.sleep(1)
            self._under_way -= 1


async def test_one_client_alone_has_all_slots() -> None:
    asked, begun = Asked(20), asyncio.get_running_loop().time()
    await asyncio.gather(*(asked.ask("one") for _ in range(100)))

    assert asyncio.get_running_loop().time() - begun == pytest.approx(5, abs=0.1)
    assert asked.most == 20


async def test_a_client_with_a_hundred_questions_keeps_no_other_one_waiting() -> None:
    asked = Asked(20)
    flood = [asyncio.create_task(asked.ask("stranger")) for _ in range(100)]
    await asyncio.sleep(0.5)
    others = [asyncio.create_task(asked.ask(who)) for who in ("a", "b", "c")]
    await asyncio.wait(others)

    assert asked.order[:23].count("stranger") == 20
    assert sorted(asked.order[20:23]) == ["a", "b", "c"]
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_clients_with_many_questions_take_turns() -> None:
    asked = Asked(4)
    first = [asyncio.create_task(asked.ask("a")) for _ in range(20)]
    await asyncio.sleep(0.5)
    second = [asyncio.create_task(asked.ask("b")) for _ in range(20)]
    await asyncio.sleep(4)

    counts = [asked.order[4:16].count(who) for who in "ab"]
    assert abs(counts[0] - counts[1]) <= 4
    await asyncio.gather(*first, *second)
    assert asked.order.count("a") == asked.order.count("b") == 20


@pytest.mark.parametrize("seed", range(5))
async def test_questions_that_are_given_up_at_any_moment_leave_no_slot_behind(seed: int) -> None:
    draw, asked = random.Random(seed), Asked(3)
    tasks = []
    for _ in range(60):
        tasks.append(asyncio.create_task(asked.ask(draw.choice("abc"))))
        await asyncio.sleep(draw.choice((0.0, 0.1)))
        draw.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    again = Asked(3)
    again.slots = asked.slots
    await asyncio.gather(*(again.ask("d") for _ in range(9)))

    assert again.most == 3
