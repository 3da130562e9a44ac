"""Lanes: each stream in its own order, several side by side, and a receiver that is down or hangs."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter, defaultdict

import pytest

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.lanes import NOT_TRIED, Lane, LaneKind, Lanes, lanes_of
from batkol.sinks.stored import StoredEvent
from support.sinks.batch import BEHIND, deliver, stored_event
from support.sinks.envelopes import final, finals
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time


class Scripted:
    """A sink of random speed; what comes of an event is by its id, `Delivered` for most."""

    name = "scripted"

    def __init__(
        self,
        outcomes: dict[str, DeliveryOutcome],
        seed: int = 0,
        otherwise: DeliveryOutcome | None = None,
        *,
        at_once: int = 4,
    ) -> None:
        self.at_once = at_once
        self.tried: list[str] = []
        self.most = 0
        self._outcomes = outcomes
        self._otherwise = otherwise or Delivered()
        self._random = random.Random(seed)
        self._open: Counter[str] = Counter()

    async def deliver(self, event: Envelope) -> DeliveryOutcome:
        assert not self._open[event.stream], "two events of a stream at once"
        self._open[event.stream] += 1
        self.most = max(self.most, self._open.total())
        self.tried.append(event.id)
        await asyncio.sleep(self._random.random())
        self._open[event.stream] -= 1
        return self._outcomes.get(event.id, self._otherwise)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(20))
async def test_each_stream_keeps_its_order_and_waits_behind_its_first_event_that_is_later(seed: int) -> None:
    chance = random.Random(seed)
    events = finals(streams=8, each=5)
    bad: tuple[DeliveryOutcome, ...] = (Later("x", 7.0), Refused("y"))
    chosen = {event.id: chance.choice(bad) for event in events if chance.random() < 0.2}
    sink = Scripted(chosen, seed, at_once=6)

    outcomes = await deliver(sink, events)

    by_stream: dict[str, list[tuple[int, DeliveryOutcome]]] = defaultdict(list)
    for event, outcome in zip(events, outcomes, strict=True):
        by_stream[event.stream].append((event.seq, outcome))
    for stream, pairs in by_stream.items():
        held = next((seq for seq, _ in pairs if isinstance(chosen.get(f"{stream}-{seq}"), Later)), 99)
        assert [outcome for seq, outcome in pairs if seq <= held] == [
            chosen.get(f"{stream}-{seq}", Delivered()) for seq, _ in pairs if seq <= held
        ]
        assert all(outcome == BEHIND for seq, outcome in pairs if seq > held)
        assert [each for each in sink.tried if each.startswith(f"{stream}-")] == [
            f"{stream}-{seq}" for seq, _ in pairs if seq <= held
        ]
    assert sink.most == 6


async def test_streams_go_side_by_side_and_no_more_than_allowed() -> None:
    sink = Scripted({})
    outcomes = await deliver(sink, finals(streams=9, each=2))
    assert outcomes == [Delivered()] * 18
    assert sink.most == 4


async def test_a_receiver_that_is_down_is_asked_no_more_often_than_it_may_be_asked_at_once() -> None:
    sink = Scripted({}, otherwise=Later("it is down"))
    outcomes = await deliver(sink, finals(streams=50, each=2))
    assert all(isinstance(outcome, Later) for outcome in outcomes)
    assert Later(NOT_TRIED) in outcomes
    assert len(sink.tried) <= 7  # four at once, and those that began before the fourth was over


async def test_one_event_that_is_never_taken_does_not_make_a_receiver_look_down() -> None:
    bad: dict[str, DeliveryOutcome] = {f"MZ{number}-1": Later("it breaks the receiver") for number in range(0, 40, 5)}
    outcomes = await deliver(Scripted(bad), [final(f"MZ{number}") for number in range(40)])
    assert outcomes.count(Delivered()) == 32


async def test_an_empty_batch_has_no_outcomes() -> None:
    assert await deliver(Scripted({}), []) == []


async def test_cancelling_it_cancels_what_is_on_the_way() -> None:
    sink = Scripted({})
    task = asyncio.create_task(deliver(sink, finals(streams=3, each=2)))
    await until(lambda: len(sink.tried) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


def of_streams(*streams: str) -> list[Lane]:
    events = [
        stored_event(final(stream, seq), at) for at, (stream, seq) in enumerate((s, n) for s in streams for n in (1, 2))
    ]
    return lanes_of(LaneKind.NEW, events)


async def test_a_stream_that_hangs_leaves_its_outcomes_so_far_and_the_others_are_calm_without_it() -> None:
    hangs, changes = asyncio.Event(), list[float]()
    clock = asyncio.get_running_loop().time

    async def one(_: Lane, event: StoredEvent) -> DeliveryOutcome:
        if (event.stream_sid, event.seq) == ("MZ1", 2):
            await hangs.wait()
        return Delivered()

    lanes = Lanes(one, 2, young_s=5.0, clock=clock, on_change=lambda: changes.append(clock()))
    first, *others = of_streams("MZ1", "MZ2", "MZ3")
    lanes.begin([first, *others])
    assert lanes.calm_at == math.inf, "one waits for its turn"
    await until(lambda: all(lane.is_over for lane in others))
    begun = first.begun_at
    assert lanes.calm_at == begun + 5.0
    assert [(lane.stream_sid, len(lane.take())) for lane in lanes.collect()] == [("MZ1", 1), ("MZ2", 2), ("MZ3", 2)]
    assert (first.held.behind, first.held.reason) == (first.rest[0].at.before, "")
    await asyncio.sleep(5.0)
    assert lanes.calm_at <= clock(), "it is slow, and nothing waits for it"
    changes.clear()
    lanes.begin(of_streams("MZ4"))
    await until(lambda: lanes.has_over)
    assert changes, "who waits hears of what ended beside it"
    assert [lane.stream_sid for lane in lanes.collect()] == ["MZ4"]
    hangs.set()
    await until(lambda: not lanes.open)
    assert lanes.collect() == [first]
    await lanes.cancel()


async def test_what_a_delivery_raises_is_raised_where_its_outcome_is_wanted() -> None:
    async def one(_: Lane, __: StoredEvent) -> DeliveryOutcome:
        raise RuntimeError("a defect")

    changed = asyncio.Event()
    lanes = Lanes(one, 2, young_s=5.0, clock=asyncio.get_running_loop().time, on_change=changed.set)
    lanes.begin(of_streams("MZ1"))
    await until(lambda: not lanes._workers)
    assert changed.is_set()
    with pytest.raises(RuntimeError, match="a defect"):
        lanes.collect()
    await lanes.cancel()


async def test_a_lane_without_events_is_over_at_once() -> None:
    changes = list[int]()
    lanes = Lanes(_never, 2, young_s=5.0, clock=asyncio.get_running_loop().time, on_change=lambda: changes.append(1))
    lanes.begin([Lane(LaneKind.WAITING, "MZ1")])
    assert changes
    assert [lane.is_over for lane in lanes.collect()] == [True]
    assert lanes.calm_at == -math.inf


async def _never(_: Lane, __: StoredEvent) -> DeliveryOutcome:
    raise AssertionError("there is no event")
