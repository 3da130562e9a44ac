from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from batkol.calls.call import Call
from batkol.calls.drain import ENDING_S, Drain
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.clock import Clock
from support.process.killing import cancel
from support.time.virtual import virtual_clock
from support.time.waiting import let_the_loop_run, until
from support.twilio.calls import new_call, services, sid

pytestmark = pytest.mark.virtual_time


class JumpingClock:
    """Unix time that somebody sets."""

    def __init__(self) -> None:
        self.jump_s = 0.0
        self._true = virtual_clock().wall

    def wall(self) -> float:
        return self._true() + self.jump_s


@dataclass
class House:
    services: Services
    calls: CallRegistry
    clock: JumpingClock

    def admitted(self) -> Call:
        call = new_call(self.services)
        assert self.calls.admit(call)
        return call


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with services() as shared:
        clock = JumpingClock()
        calls = CallRegistry(limit=3, clock=Clock(wall=clock.wall))
        yield House(shared, calls, clock)
        for call in calls:
            call.discard()
            calls.release(call)


async def test_the_status_says_since_when_and_how_many_are_left(house: House) -> None:
    leaving = Drain(house.calls, timeout_s=30)
    call = house.admitted()
    assert leaving.status() is None
    draining = asyncio.create_task(leaving.run())
    await until(lambda: house.calls.draining)
    status = leaving.status()

    assert status is not None
    assert (status.calls_left, status.timeout_s, status.done) == (1, 30, False)
    assert status.since.startswith("20")
    house.calls.release(call)
    await draining
    status = leaving.status()
    assert status is not None
    assert (status.calls_left, status.done) == (0, True)


async def test_a_drain_that_dies_is_begun_again_by_the_next_order(house: House) -> None:
    leaving = Drain(house.calls, timeout_s=30)
    call = house.admitted()
    first = asyncio.create_task(leaving.run())
    await until(lambda: house.calls.draining)
    assert cancel("drain") == 1
    await asyncio.wait({first})
    assert first.cancelled()
    await leaving.close()  # as the process ends: it is cancelled by nobody

    second = asyncio.create_task(leaving.run())
    await until(lambda: any(task.get_name() == "drain" for task in asyncio.all_tasks()))
    house.calls.release(call)
    await second
    status = leaving.status()
    assert status is not None
    assert status.done


async def test_a_second_order_waits_for_the_same_end_and_changes_nothing(house: House) -> None:
    leaving = Drain(house.calls, timeout_s=30)
    call = house.admitted()
    orders = [asyncio.create_task(leaving.run()) for _ in range(3)]
    await until(lambda: house.calls.draining)
    since = house.calls.draining_since
    await asyncio.sleep(20)

    assert not any(order.done() for order in orders)
    house.calls.release(call)
    await asyncio.gather(*orders)
    assert house.calls.draining_since == since


async def test_a_clock_that_jumps_makes_a_drain_no_longer_and_no_shorter(house: House) -> None:
    assert house.calls.draining_s() == 0
    house.calls.refuse()
    for jump_s in (-86400.0, 86400.0):
        house.clock.jump_s = jump_s
        await asyncio.sleep(10)

    assert house.calls.draining_s() == pytest.approx(20)


async def test_who_goes_away_does_not_undo_it(house: House) -> None:
    leaving = Drain(house.calls, timeout_s=30)
    call = house.admitted()
    impatient = asyncio.create_task(leaving.run())
    await until(lambda: house.calls.draining)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)

    assert not house.calls.reserve(sid())
    house.calls.release(call)
    await leaving.run()


async def test_when_the_time_is_up_the_calls_are_ended(house: House) -> None:
    leaving = Drain(house.calls, timeout_s=300)
    call = house.admitted()
    draining = asyncio.create_task(leaving.run())
    await asyncio.sleep(299)
    assert call.ended_by == ""
    await asyncio.sleep(2)

    assert call.ended_by == "drained"
    assert call._deadline.due == pytest.approx(asyncio.get_running_loop().time() + ENDING_S, abs=2)
    assert not draining.done()
    house.calls.release(call)
    await draining


async def test_a_pod_stays_until_twilio_has_asked_about_a_call_that_it_hung_up_by_closing(house: House) -> None:
    loop = asyncio.get_running_loop()
    for redialled_s, closed_by, left_s in ((1.0, "hung_up", 1.0), (60.0, "hung_up", 5.0), (60.0, "stop", 0.0)):
        calls = CallRegistry(limit=3)
        call, begun = new_call(house.services), loop.time()
        assert calls.admit(call)
        call.end(closed_by)
        calls.release(call)
        loop.call_later(redialled_s, calls.hung_up, call.identity.call_sid)
        await Drain(calls, timeout_s=30).run()

        assert loop.time() - begun == pytest.approx(left_s, abs=0.1)
        call.discard()


@pytest.mark.real_time
async def test_by_a_real_clock_a_drain_ends_with_its_last_call() -> None:
    async with services() as shared:
        calls = CallRegistry(limit=3)
        leaving = Drain(calls, timeout_s=20)
        call = new_call(shared)
        assert calls.admit(call)
        draining = asyncio.create_task(leaving.run())
        await until(lambda: calls.draining)
        call.end("stop")
        await let_the_loop_run()
        assert not draining.done()
        calls.release(call)
        await draining
        assert len(calls) == 0
        call.discard()
