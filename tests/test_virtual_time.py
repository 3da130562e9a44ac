"""Virtual time: timers in order and at once, everything else refused."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from support.time.virtual import START_S, RealWorldError, in_virtual_time


@pytest.fixture
async def started() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.virtual_time
async def test_a_marked_test_and_its_fixtures_wait_in_no_time(started: float) -> None:
    real = time.monotonic()
    await asyncio.sleep(3600)

    assert started == START_S
    assert asyncio.get_running_loop().time() == START_S + 3600
    assert time.monotonic() - real < 3600


async def test_other_tests_have_a_real_loop() -> None:
    assert await asyncio.to_thread(lambda: 5) == 5


async def _to_thread() -> None:
    await asyncio.to_thread(time.monotonic)


async def _from_thread() -> None:
    loop, refused = asyncio.get_running_loop(), []

    def call() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except RealWorldError as error:
            refused.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    await asyncio.sleep(1)


async def _connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        await asyncio.open_connection(*server.getsockname())


async def _resolve() -> None:
    await asyncio.open_connection("localhost", 9)


async def _serve() -> None:
    await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)


async def _start_a_process() -> None:
    await asyncio.create_subprocess_exec(sys.executable, "-c", "")


async def _wait_for_a_signal() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)


async def _wait_for_nothing() -> None:
    await asyncio.Event().wait()


async def _catch_the_refusal() -> None:
    try:
        await _to_thread()
    except Exception:  # noqa: BLE001  as a broad except at the rim of the code under test does
        await asyncio.sleep(1)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what was refused half-way is left half-made
@pytest.mark.parametrize(
    "work",
    [
        _to_thread,
        _from_thread,
        _connect,
        _resolve,
        _serve,
        _start_a_process,
        _wait_for_a_signal,
        _wait_for_nothing,
        _catch_the_refusal,
    ],
)
def test_what_is_not_a_timer_is_refused(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await work()

    with pytest.raises(RealWorldError):
        in_virtual_time(run())
    gc.collect(1)  # what was left half-made goes here, where it is no failure


def test_timers_come_late_and_in_random_order_where_a_test_asks_for_it() -> None:
    async def order() -> list[int]:
        done: list[int] = []

        async def one(number: int) -> None:
            due = asyncio.get_running_loop().time() + number / 1000
            await asyncio.sleep(number / 1000)
            assert due <= asyncio.get_running_loop().time() <= due + 0.01 + 1e-6
            done.append(number)

        await asyncio.gather(*(one(number) for number in range(20)))
        return done

    assert in_virtual_time(order()) == list(range(20))
    orders = [in_virtual_time(order(), random.Random(seed), 0.01) for seed in range(3)]
    assert all(sorted(one) == list(range(20)) != one for one in orders)
    assert orders[0] != orders[1] != orders[2]
