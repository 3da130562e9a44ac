"""The client against the internal API itself, over a network that cuts connections, and pods that leave."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import msgspec
import pytest

from batkol.calls.call import Call
from batkol.client import (
    Batkol,
    ClientError,
    Event,
    FeedGap,
    ForbiddenError,
    KeyPressed,
    LiveCall,
    LiveCalls,
    TokenRefusedError,
    UtteranceSoFar,
)
from batkol.rights import Grant, Right
from batkol.web import live_schemas
from batkol.web.access import Access
from batkol.web.event_stream import EventStreamTimings
from support.http.internal_api import inside
from support.network.relay import Relay, relaying

TIMINGS = EventStreamTimings(keepalive_s=0.05, retry_s=0.01)
SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(3, 40))]


def client(port: int, token: str = "") -> Batkol:
    return Batkol(f"http://127.0.0.1:{port}", token, scope="pod")


async def press(call: Call, count: int, relay: Relay, chance: random.Random) -> None:
    """Have keys pressed, and connections cut at any moment."""
    for _ in range(count):
        call.reporter.key_pressed("5")
        if chance.random() < 0.05:
            relay.cut()
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.02)


@pytest.mark.parametrize("seed", SEEDS)
async def test_over_a_network_that_cuts_each_event_arrives_once_and_in_order(seed: int) -> None:
    async with inside(timings=TIMINGS) as house, relaying(house.port) as relay, client(relay.port) as batkol:
        call = house.admitted()
        async with batkol.events() as events:
            pressing = asyncio.create_task(press(call, 300, relay, random.Random(seed)))
            async with asyncio.timeout(60):
                got = [await anext(events) for _ in range(300)]
            await pressing

    assert [event.seq for event in got if isinstance(event, Event)] == list(range(1, 301))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_snapshot_and_its_feed_join_at_any_moment(seed: int) -> None:
    """Readers come at random while keys are pressed and connections cut: to each, nothing is missing or told twice."""
    chance = random.Random(seed)
    async with inside(timings=TIMINGS) as house, relaying(house.port) as relay, client(relay.port) as batkol:
        call = house.admitted()
        joined, pressed = 0, 0
        while not joined and pressed < 6000:  # on a slow machine, all of one round's readers may be cut
            pressed += 300
            pressing = asyncio.create_task(press(call, 300, relay, chance))
            while not pressing.done():
                await asyncio.sleep(chance.random() * 0.02)
                with suppress(ClientError):  # a snapshot's connection is cut, too
                    joined += await join(batkol, chance.randint(1, 40), pressed)
    assert joined


async def join(batkol: Batkol, count: int, pressed: int) -> int:
    """Read some events after a snapshot and look at them, no further than the last key; return how many there were."""
    async with batkol.following() as following, asyncio.timeout(30):
        snapshot = await anext(following)
        assert isinstance(snapshot, LiveCalls)
        (shown,) = snapshot
        assert shown.seq is not None
        last, seen = shown.seq, 0
        while seen < count and last < pressed:
            event = await anext(following)
            assert isinstance(event, KeyPressed)
            assert event.seq == last + 1
            last, seen = event.seq, seen + 1
    return seen


async def test_a_pod_that_leaves_is_left_for_another_and_what_is_not_known_is_a_gap_and_a_new_snapshot() -> None:
    async with inside(timings=TIMINGS) as first, inside(timings=TIMINGS) as second, relaying(first.port) as relay:
        one, two = first.admitted(), second.admitted()
        async with client(relay.port) as batkol, batkol.following() as following, asyncio.timeout(30):
            assert [call.call_sid for call in as_calls(await anext(following))] == [one.identity.call_sid]
            one.reporter.key_pressed("1")
            assert isinstance(await anext(following), KeyPressed)
            relay.lead(second.port)
            first.bus.close()  # as when its process ends
            assert isinstance(await anext(following), FeedGap)
            assert [call.call_sid for call in as_calls(await anext(following))] == [two.identity.call_sid]
            two.reporter.key_pressed("2")
            event = await anext(following)

    assert isinstance(event, KeyPressed)
    assert event.call_sid == two.identity.call_sid


def as_calls(found: object) -> LiveCalls:
    assert isinstance(found, LiveCalls)
    return found


async def test_a_dead_network_is_noticed_and_nothing_is_lost() -> None:
    """Nothing comes and no connection closes: what a firewall does that has forgotten one."""
    async with inside(timings=TIMINGS) as house, relaying(house.port) as relay:
        call = house.admitted()
        batkol = client(relay.port)
        batkol._connection.limits = batkol._connection.limits._replace(silence_s=0.4)
        async with batkol, batkol.events() as events, asyncio.timeout(30):
            call.reporter.key_pressed("1")
            await anext(events)
            relay.forget()
            call.reporter.key_pressed("2")
            event = await anext(events)

    assert isinstance(event, KeyPressed)
    assert event.seq == 2
    assert relay.connections >= 2, "more on a busy machine, where 0.4 s pass before an answer"


async def test_the_feed_of_a_call_ends_with_it_also_when_the_end_was_missed() -> None:
    async with inside(timings=TIMINGS) as house, relaying(house.port) as relay, client(relay.port) as batkol:
        calls = [house.admitted() for _ in range(2)]
        feeds = [batkol.call(call.identity.call_sid).events(types=["dtmf"]) for call in calls]
        for feed in feeds:
            await feed.__aenter__()
        relay.cut()
        for call in calls:
            call.reporter.key_pressed("1")
            call.reporter.call_ended(reason="stop", duration_s=1.0, gap_ms=0, close_code=1000)
            house.calls.release(call)
        async with asyncio.timeout(30):
            got = [[event async for event in feed] for feed in feeds]

    assert [[type(event) for event in each] for each in got] == [[KeyPressed]] * 2


async def test_a_token_may_what_it_may_and_the_refusal_names_the_right() -> None:
    grants = [Grant("reader", "r" * 20, frozenset({Right.STATUS})), Grant("driver", "d" * 20, frozenset({Right.LINE}))]
    async with inside(access=Access(grants), timings=TIMINGS) as house:
        call = house.admitted()
        async with client(house.port, "x" * 20) as batkol:
            with pytest.raises(TokenRefusedError, match="API_TOKENS"):
                await batkol.calls()
        async with client(house.port, "d" * 20) as batkol:
            with pytest.raises(ForbiddenError, match="`status`"):
                await anext(batkol.events())
        async with client(house.port, "r" * 20) as batkol, batkol.events() as events, asyncio.timeout(20):
            call.reporter.key_pressed("7")
            event = await anext(events)

    assert isinstance(event, KeyPressed)
    assert event.digit == ""  # not for this token


async def test_a_cursor_that_is_none_is_a_refusal_and_not_an_endless_attempt() -> None:
    async with inside() as house, client(house.port) as batkol:
        with pytest.raises(ClientError, match="cursor"):
            await anext(batkol.events(after="nonsense"))


async def test_the_snapshots_of_the_service_are_read_whole() -> None:
    async with inside() as house, client(house.port) as batkol:
        call = house.admitted_for("clinic", from_="+972500000001", to="+972300000001")
        call.reporter.call_started(streaming=True)
        (shown,) = await batkol.calls(agent="clinic")
        details = await batkol.call(call.identity.call_sid).details()
        none = await batkol.calls(agent="another")

    assert (shown.call_sid, shown.seq, shown.from_) == (call.identity.call_sid, 1, "+972500000001")
    assert details.cursor
    assert len(none) == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LiveCalls, live_schemas.CallsSnapshot),
        (LiveCall, live_schemas.CallSnapshot),
        (UtteranceSoFar, live_schemas.LiveUtterance),
    ],
)
def test_the_clients_types_have_the_services_fields(ours: type, theirs: type) -> None:
    named = {field.encode_name for field in msgspec.structs.fields(ours)}
    sent = {field.encode_name for field in msgspec.structs.fields(theirs)}

    assert sent <= named
    assert named - sent <= {"peers", "pod"}  # of a fleet
