"""The order of one batch: each stream in its own order, several side by side, and a receiver that is down."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict

import pytest

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.order import deliver_in_order
from support.sinks.envelopes import final, finals

pytestmark = pytest.mark.virtual_time


class Scripted:
    """Delivers at random speed; what comes of an event is by its id, `Delivered` for most."""

    def __init__(
        self, outcomes: dict[str, DeliveryOutcome], seed: int = 0, otherwise: DeliveryOutcome | None = None
    ) -> None:
        self.tried: list[str] = []
        self.most = 0
        self._outcomes = outcomes
        self._otherwise = otherwise or Delivered()
        self._random = random.Random(seed)
        self._open: Counter[str] = Counter()

    async def __call__(self, event: Envelope) -> DeliveryOutcome:
        assert not self._open[event.stream], "two events of a stream at once"
        self._open[event.stream] += 1
        self.most = max(self.most, self._open.total())
        self.tried.append(event.id)
        await asyncio.sleep(self._random.random())
        self._open[event.stream] -= 1
        return self._outcomes.get(event.id, self._otherwise)


@pytest.mark.parametrize("seed", range(20))
async def test_each_stream_keeps_its_order_and_waits_behind_its_first_event_that_is_later(seed: int) -> None:
    chance = random.Random(seed)
    events = finals(streams=8, each=5)
    bad: tuple[DeliveryOutcome, ...] = (Later("x", 7.0), Refused("y"))
    chosen = {event.id: chance.choice(bad) for event in events if chance.random() < 0.2}
    deliver = Scripted(chosen, seed)

    outcomes = await deliver_in_order(events, deliver, at_once=6)

    by_stream: dict[str, list[tuple[int, DeliveryOutcome]]] = defaultdict(list)
    for event, outcome in zip(events, outcomes, strict=True):
        by_stream[event.stream].append((event.seq, outcome))
    for stream, pairs in by_stream.items():
        held = next((seq for seq, _ in pairs if isinstance(chosen.get(f"{stream}-{seq}"), Later)), 99)
        assert [outcome for seq, outcome in pairs if seq <= held] == [
            chosen.get(f"{stream}-{seq}", Delivered()) for seq, _ in pairs if seq <= held
        ]
        assert all(outcome == Later("an earlier event of its stream is not delivered yet", 7.0)
                   for seq, outcome in pairs if seq > held)  # fmt: skip
        assert [each for each in deliver.tried if each.startswith(f"{stream}-")] == [
            f"{stream}-{seq}" for seq, _ in pairs if seq <= held
        ]
    assert deliver.most == 6


async def test_streams_go_side_by_side_and_no_more_than_allowed() -> None:
    deliver = Scripted({})
    outcomes = await deliver_in_order(finals(streams=9, each=2), deliver, at_once=4)
    assert outcomes == [Delivered()] * 18
    assert deliver.most == 4


async def test_a_receiver_that_is_down_is_asked_no_more_often_than_it_may_be_asked_at_once() -> None:
    deliver = Scripted({}, otherwise=Later("it is down"))
    outcomes = await deliver_in_order(finals(streams=50, each=2), deliver, at_once=4)
    assert all(isinstance(outcome, Later) for outcome in outcomes)
    assert len(deliver.tried) <= 7  # four at once, and those that began before the fourth was over


async def test_one_event_that_is_never_taken_does_not_make_a_receiver_look_down() -> None:
    bad: dict[str, DeliveryOutcome] = {f"MZ{number}-1": Later("it breaks the receiver") for number in range(0, 40, 5)}
    outcomes = await deliver_in_order([final(f"MZ{number}") for number in range(40)], Scripted(bad), at_once=4)
    assert outcomes.count(Delivered()) == 32


async def test_an_empty_batch_has_no_outcomes() -> None:
    assert await deliver_in_order([], Scripted({}), at_once=4) == []


async def test_cancelling_it_cancels_what_is_on_the_way() -> None:
    deliver = Scripted({})
    task = asyncio.create_task(deliver_in_order(finals(streams=3, each=2), deliver, at_once=3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(deliver.tried) == 3
    assert asyncio.all_tasks() == {asyncio.current_task()}
