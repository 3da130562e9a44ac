import asyncio
import inspect

import pytest

from batkol.transcription.pending import PendingWork

pytestmark = pytest.mark.virtual_time


async def test_the_end_waits_for_what_is_under_way_and_for_what_that_begins() -> None:
    pending, done = PendingWork(), list[str]()

    async def request(name: str, then: str = "") -> None:
        await asyncio.sleep(1)
        done.append(name)
        if then:
            pending.spawn(request(then), then)

    async with asyncio.TaskGroup() as tasks:
        pending.begin(tasks)
        pending.spawn(request("single", then="late"), "single")
        await pending.finish()
        finished = list(done)

    assert finished == ["single", "late"]
    assert not pending.tasks


async def test_a_call_that_is_cut_off_begins_nothing_and_leaves_no_coroutine_behind() -> None:
    pending = PendingWork()
    async with asyncio.TaskGroup() as tasks:
        pending.begin(tasks)
    begun = asyncio.sleep(1)
    pending.spawn(begun, "too late")

    assert inspect.getcoroutinestate(begun) == inspect.CORO_CLOSED, "or Python warns that it was never awaited"
    assert not pending.tasks
