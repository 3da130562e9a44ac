"""Time limits of an answer: to its first text, between texts, and of all the waiting."""

from __future__ import annotations

import asyncio

import pytest

from batkol.answering.answerer import AnswererError
from batkol.answering.patience import AnswerPatience, Limits

pytestmark = pytest.mark.virtual_time

LIMITS = Limits(first_s=8, between_s=5, whole_s=20)


async def late(patience: AnswerPatience, after_s: float) -> tuple[str, float]:
    """Wait for what comes too late; return the reason and how long it took to give up."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(AnswererError) as raised:
        await patience.wait(asyncio.sleep(after_s))
    assert raised.value.retryable
    return raised.value.reason, asyncio.get_running_loop().time() - began


async def test_the_first_text_has_a_time_of_its_own() -> None:
    patience = AnswerPatience(LIMITS, "x")
    assert await patience.wait(asyncio.sleep(7, "head")) == "head"

    assert await late(patience, 2) == ("no_first_token", 1)


async def test_each_text_has_the_time_between_two() -> None:
    patience = AnswerPatience(LIMITS, "x")
    for _ in range(3):
        await patience.wait(asyncio.sleep(4))
        patience.progressed()

    assert await late(patience, 99) == ("stalled", 5)


async def test_what_is_no_text_does_not_prolong_it() -> None:
    patience = AnswerPatience(LIMITS, "x")
    patience.progressed()
    for _ in range(4):
        await patience.wait(asyncio.sleep(1))

    assert await late(patience, 99) == ("stalled", 1)


async def test_all_the_waiting_has_a_limit() -> None:
    patience = AnswerPatience(LIMITS, "x")
    for _ in range(4):
        await patience.wait(asyncio.sleep(4.5))
        patience.progressed()

    assert await late(patience, 99) == ("too_slow", 2)


async def test_the_consumers_own_time_does_not_count() -> None:
    patience = AnswerPatience(LIMITS, "x")
    patience.progressed()
    await asyncio.sleep(1000)

    assert await patience.wait(asyncio.sleep(4, "text")) == "text"


async def test_a_cancellation_goes_through() -> None:
    waiting = asyncio.create_task(AnswerPatience(LIMITS, "x").wait(asyncio.Event().wait()))
    await asyncio.sleep(1)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
