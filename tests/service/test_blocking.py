"""Blocking calls on a thread that nothing waits for."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from batkol.blocking import BlockingCalls


async def test_calls_are_made_in_turn_on_one_daemon_thread_and_their_answers_come_back() -> None:
    calls = BlockingCalls("test.calls")

    first, second = calls.submit(threading.current_thread), calls.submit(threading.current_thread)

    assert await first is await second
    assert (await first).daemon
    await calls.close()
    await _gone(await first)


async def test_what_a_call_raises_is_raised_where_it_was_asked_for_and_the_next_one_is_made() -> None:
    calls = BlockingCalls("test.calls")

    with pytest.raises(ZeroDivisionError):
        await calls.submit(lambda: 1 // 0)

    assert await calls.submit(lambda: 7) == 7
    await calls.close()


async def test_an_answer_that_was_given_up_disturbs_nobody() -> None:
    calls, go_on = BlockingCalls("test.calls"), threading.Event()
    given_up, next_one = calls.submit(go_on.wait), calls.submit(lambda: 7)

    given_up.cancel()
    go_on.set()

    assert await next_one == 7
    await calls.close()


async def test_closing_waits_no_longer_than_it_says_for_a_call_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batkol.blocking.CLOSE_S", 0.01)
    calls, go_on = BlockingCalls("test.calls"), threading.Event()
    hanging = calls.submit(go_on.wait)

    await calls.close()

    assert not hanging.done()
    assert calls.busy
    go_on.set()
    assert await hanging


def test_a_call_that_returns_after_the_loop_has_gone_is_forgotten() -> None:
    go_on = threading.Event()

    async def main() -> BlockingCalls:
        calls = BlockingCalls("test.calls")
        calls.submit(go_on.wait).cancel()
        return calls

    calls = asyncio.run(main())
    calls._jobs.put(None)
    go_on.set()
    while calls.busy:
        time.sleep(0.001)
    assert not calls.busy


async def _gone(thread: threading.Thread) -> None:
    while thread.is_alive():
        await asyncio.sleep(0.001)
