import asyncio
import random

import pytest

from batkol.simulators.twilio.network import OneWay
from support.time.virtual import virtual_loop

pytestmark = pytest.mark.virtual_time


async def arrivals(messages: int, *, delay_s: float, jitter_s: float, every_s: float = 0.02) -> list[tuple[int, float]]:
    """Send, and return which message took how long, in the order in which they arrived."""
    loop = virtual_loop()
    took: list[tuple[int, float]] = []
    sent: list[float] = []
    way: OneWay[int] = OneWay(
        lambda number: took.append((number, loop.time() - sent[number])),
        delay_s=delay_s,
        jitter_s=jitter_s,
        draw=random.Random(1),
    )
    for number in range(messages):
        sent.append(loop.time())
        way.send(number)
        await asyncio.sleep(every_s)
    await way.delivered()
    return took


async def test_every_message_takes_the_delay() -> None:
    took = await arrivals(50, delay_s=0.15, jitter_s=0.0)

    assert [number for number, _ in took] == list(range(50))
    assert [late for _, late in took] == pytest.approx([0.15] * 50)


async def test_jitter_keeps_the_order_and_its_bounds() -> None:
    took = await arrivals(500, delay_s=0.1, jitter_s=0.3)

    assert [number for number, _ in took] == list(range(500))
    assert 0.1 <= min(late for _, late in took) < 0.15
    assert 0.35 < max(late for _, late in took) <= 0.4 + 1e-9


async def test_a_network_without_delay_is_a_call() -> None:
    assert await arrivals(3, delay_s=0.0, jitter_s=0.0, every_s=0.0) == [(0, 0.0), (1, 0.0), (2, 0.0)]


async def test_what_is_under_way_when_the_line_is_cut_does_not_arrive() -> None:
    arrived: list[int] = []
    way: OneWay[int] = OneWay(arrived.append, delay_s=1.0, draw=random.Random(1))
    way.send(1)
    way.close()
    await way.delivered()
    await asyncio.sleep(2)

    assert arrived == []
