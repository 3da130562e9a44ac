"""The bus with readers of every pace, in random order, and every timer late: order, bounds, and what is missing."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from batkol.events.bus import LIMIT, Bus, Subscription
from batkol.events.events import Event, FinalText, PartialText
from support.events.made import final, partial
from support.time.virtual import in_virtual_time

CALLS = tuple(f"CA{number:032x}" for number in range(3))
EVENTS = 400
LATE_S = 0.5


class Reader:
    """A subscriber that comes, reads at its own pace, gives up waiting now and then, and goes."""

    def __init__(self, bus: Bus, chance: random.Random) -> None:
        self.bus, self.chance = bus, chance
        self.call_sid = chance.choice([None, *CALLS])
        self.capacity = chance.choice([1, 5, 50])
        self.pace_s = chance.choice([0.0, 0.1, 3.0])
        self.got: list[Event] = []
        self.offered: list[Event] = []
        """What was published while it was subscribed, and is for it."""
        self.subscription: Subscription | None = None

    async def run(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, 20))
        self.subscription = self.bus.subscribe(self.call_sid, capacity=self.capacity)
        reads = self.chance.choice([self._one_by_one, self._in_batches])
        await reads(self.subscription)

    async def _one_by_one(self, subscription: Subscription) -> None:
        while True:
            try:
                async with asyncio.timeout(self.chance.choice([0.01, 1.0, 60.0])):
                    self.got.append(await anext(subscription))
            except StopAsyncIteration:
                return
            except TimeoutError:
                continue
            await asyncio.sleep(self.pace_s)

    async def _in_batches(self, subscription: Subscription) -> None:
        while not subscription.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.chance.choice([0.01, 1.0, 60.0])):
                    self.got += await subscription.some()
            await asyncio.sleep(self.pace_s)
        self.got += subscription.waiting()

    def note(self, published: Event) -> None:
        if self.subscription is None or self.subscription.closed:
            return
        if self.call_sid in (None, published.call_sid):
            self.offered.append(published)
        finals = sum(isinstance(each.event, FinalText) for each in self.subscription._events.values())
        assert len(self.subscription._events) <= max(self.capacity, finals) <= LIMIT


async def publish(bus: Bus, readers: list[Reader], chance: random.Random, numbers: list[int]) -> None:
    """One of several publishers: what it publishes takes its number in the moment in which it is published."""
    for _ in range(EVENTS // 4):
        await asyncio.sleep(chance.choice([0.0, 0.0, 0.05, 0.5]))
        numbers.append(len(numbers))
        call_sid, make = chance.choice(CALLS), final if chance.random() < 0.3 else partial
        made = make(numbers[-1], call_sid=call_sid)
        bus.publish(made)
        for reader in readers:
            reader.note(made)


@pytest.mark.parametrize("seed", range(8))
def test_every_reader_gets_what_is_for_it_in_order_or_a_gap_that_is_counted(seed: int) -> None:
    async def scene() -> None:
        chance, bus = random.Random(seed), Bus()
        readers = [Reader(bus, chance) for _ in range(10)]
        numbers: list[int] = []
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(reader.run()) for reader in readers]
            await asyncio.gather(*(publish(bus, readers, chance, numbers) for _ in range(4)))
            await asyncio.sleep(30)
            bus.close()
            await asyncio.wait(reading)
        for reader in readers:
            subscription = reader.subscription
            assert subscription is not None
            assert [each.seq for each in reader.got] == sorted({each.seq for each in reader.got})
            missing = [each for each in reader.offered if each not in reader.got]
            assert all(isinstance(each, PartialText) for each in missing)
            assert len(missing) == subscription.dropped
            assert len(reader.got) + len(missing) == len(reader.offered)
        assert bus.dropped == sum(reader.subscription.dropped for reader in readers if reader.subscription)
        assert bus.dropped, "nobody was slow"
        assert bus.subscribers == 0

    in_virtual_time(scene(), random.Random(seed), LATE_S)
