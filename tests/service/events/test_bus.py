import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from batkol.events.bus import CAPACITY, LIMIT, Bus, Subscription
from batkol.events.events import CallStarted, Event, FinalText, PartialText, TentativeText, TentativeWithdrawn
from batkol.events.identity import REHEARSAL
from support.events.made import CALL, ended, final, key, partial, tentative, withdrawn
from support.properties import few_by_day

pytestmark = pytest.mark.virtual_time

OTHER = "CA" + "1" * 32


async def drained(subscription: Subscription) -> list[Event]:
    subscription.close()
    return [event async for event in subscription]


async def test_everybody_gets_every_event_in_order() -> None:
    bus = Bus()
    first, second = bus.subscribe(), bus.subscribe(CALL)
    events = [partial(1), final(2), key(3), ended(4)]
    for event in events:
        bus.publish(event)

    assert await drained(first) == events
    assert await drained(second) == events


async def test_a_subscriber_to_one_call_hears_of_no_other() -> None:
    bus = Bus()
    one, everything = bus.subscribe(CALL), bus.subscribe()
    for event in (partial(1), partial(1, call_sid=OTHER), final(2, call_sid=OTHER)):
        bus.publish(event)

    assert [event.call_sid for event in await drained(one)] == [CALL]
    assert [event.call_sid for event in await drained(everything)] == [CALL, OTHER, OTHER]
    assert one.follows(CALL)
    assert not everything.follows(CALL)


async def test_nothing_from_before_the_subscription_is_heard() -> None:
    bus = Bus()
    bus.publish(final(1))

    assert await drained(bus.subscribe()) == []


async def test_a_slow_subscriber_loses_its_oldest_partials_and_nobody_elses() -> None:
    bus = Bus()
    slow, quick = bus.subscribe(capacity=4), bus.subscribe()
    for seq in range(10):
        bus.publish(partial(seq))
    bus.publish(final(10))

    assert [event.seq for event in await drained(slow)] == [7, 8, 9, 10]
    assert slow.dropped == bus.dropped == 7
    assert [event.seq for event in await drained(quick)] == list(range(11))
    assert quick.dropped == 0


@few_by_day(30)
@given(st.lists(st.booleans(), max_size=200), st.integers(1, 10))
def test_no_final_is_ever_lost_and_what_is_left_is_in_order(kinds: list[bool], capacity: int) -> None:
    async def run() -> None:
        bus = Bus()
        slow = bus.subscribe(capacity=capacity)
        events: list[Event] = [final(i) if is_final else partial(i) for i, is_final in enumerate(kinds)]
        for event in events:
            bus.publish(event)

        got = await drained(slow)

        assert [e for e in got if isinstance(e, FinalText)] == [e for e in events if isinstance(e, FinalText)]
        assert [e.seq for e in got] == sorted(e.seq for e in got)
        partials = sum(isinstance(e, PartialText) for e in got)
        assert partials + slow.dropped == kinds.count(False)
        assert partials <= capacity

    asyncio.run(run())


async def test_a_slow_subscriber_loses_tentatives_and_never_what_ends_them() -> None:
    bus = Bus()
    slow = bus.subscribe(capacity=2)
    for event in (tentative(1), withdrawn(2), tentative(3), withdrawn(4), final(5)):
        bus.publish(event)

    assert [event.seq for event in await drained(slow)] == [2, 4, 5]
    assert slow.dropped == 2


@few_by_day(30)
@given(st.lists(st.sampled_from([partial, tentative, withdrawn, final]), max_size=60), st.integers(1, 5))
def test_nobody_believes_that_a_tentative_stands_which_does_not(
    makes: list[Callable[[int], Event]], capacity: int
) -> None:
    """What is last heard of a tentative that was heard of is what was said last of it."""

    async def run() -> None:
        bus = Bus()
        slow = bus.subscribe(capacity=capacity)
        events = [make(seq) for seq, make in enumerate(makes)]
        for event in events:
            bus.publish(event)

        got = [event for event in await drained(slow) if not isinstance(event, PartialText)]
        if got and isinstance(got[-1], TentativeText):
            assert all(isinstance(e, PartialText) for e in events[events.index(got[-1]) + 1 :])
        kept = [e for e in events if isinstance(e, TentativeWithdrawn | FinalText)]
        assert [e for e in got if not isinstance(e, TentativeText)] == kept

    asyncio.run(run())


async def test_a_subscriber_that_has_stopped_reading_is_let_go_with_all_its_finals() -> None:
    bus = Bus()
    gone = bus.subscribe()
    with capture_logs() as logs:
        for seq in range(LIMIT + 10):
            bus.publish(final(seq))

    assert bus.subscribers == 0
    assert bus.let_go == 1
    assert [line["log_level"] for line in logs] == ["warning"]
    assert [event.seq async for event in gone] == list(range(LIMIT))


async def test_memory_for_a_subscriber_is_bounded_whatever_is_published() -> None:
    bus = Bus()
    gone = bus.subscribe()
    for seq in range(2 * LIMIT):
        bus.publish(partial(seq))

    assert len(gone._events) == CAPACITY


def test_the_events_of_a_rehearsal_say_that_they_are_until_it_is_over() -> None:
    """Also to a subscriber that never got the beginning."""
    bus = Bus()
    first, other = "MZ1", "MZ2"
    about: dict[str, Any] = {"call_sid": CALL, "at": 0.0, "agent": "reception", "streaming": True}
    bus.publish(CallStarted(stream_sid=first, seq=1, direction=REHEARSAL, **about))
    bus.publish(CallStarted(stream_sid=other, seq=1, direction="inbound", **about))
    subscription = bus.subscribe()
    for stream in (first, other):
        bus.publish(partial(2, stream_sid=stream))
    bus.publish(ended(3, stream_sid=first))
    bus.publish(partial(4, stream_sid=first))

    found = [(kept.event.stream_sid, kept.is_rehearsal) for kept in subscription.take()]
    assert found == [(first, True), (other, False), (first, True), (first, False)]


async def test_leaving_the_context_ends_the_subscription() -> None:
    bus = Bus()
    with bus.subscribe() as subscription:
        assert bus.subscribers == 1
    assert bus.subscribers == 0
    bus.publish(final(1))
    assert await drained(subscription) == []


async def test_closing_the_bus_ends_every_subscription_with_what_waits_for_it() -> None:
    bus = Bus()
    told: list[str] = []
    subscription = bus.subscribe()
    subscription.on_close = lambda: told.append("closed")
    bus.publish(final(1))
    bus.close()
    subscription.close()

    assert [event.seq async for event in subscription] == [1]
    assert told == ["closed"]
    assert [event async for event in bus.subscribe()] == []
    assert bus.subscribers == 0


async def test_closing_wakes_who_waits() -> None:
    bus = Bus()
    subscription = bus.subscribe()
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    subscription.close()

    with pytest.raises(StopAsyncIteration):
        await waiting


@pytest.mark.real_time
async def test_by_a_real_clock_who_waits_is_woken_by_an_event_and_by_the_end() -> None:
    bus = Bus()
    subscription = bus.subscribe()
    for end in (lambda: bus.publish(final(1)), bus.close):
        waiting = asyncio.create_task(subscription.some())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.01, end)
        async with asyncio.timeout(20):
            assert [event.seq for event in await waiting] == ([] if bus._closed else [1])


async def test_a_cancelled_wait_loses_no_event() -> None:
    bus = Bus()
    subscription = bus.subscribe()
    got: list[Event] = []
    for seq in range(20):
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
        bus.publish(final(seq))
        waiting.cancel()
        got += [e for e in await asyncio.gather(waiting, return_exceptions=True) if isinstance(e, Event)]

    assert [event.seq for event in got + await drained(subscription)] == list(range(20))
