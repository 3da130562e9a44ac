import asyncio

import pytest

from batkol.calls.deadline import Deadline

pytestmark = pytest.mark.virtual_time


async def test_without_a_limit_work_goes_on() -> None:
    deadline = Deadline()
    async with deadline.kept():
        await asyncio.sleep(0)

    assert deadline.due is None


async def test_a_limit_that_was_set_before_the_work_holds() -> None:
    deadline = Deadline()
    deadline.set(0.0)

    with pytest.raises(TimeoutError):
        async with deadline.kept():
            await asyncio.Event().wait()


@pytest.mark.real_time
async def test_a_limit_that_is_set_during_the_work_holds_and_the_earliest_one_counts() -> None:
    deadline = Deadline()

    async def work() -> None:
        async with deadline.kept():
            deadline.set(0.01)
            due = deadline.due
            deadline.set(1000.0)
            assert deadline.due == due
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()


async def test_a_limit_that_comes_when_the_time_is_up_changes_nothing() -> None:
    """A newer stream of the call may come in that very turn of the loop."""
    deadline = Deadline()

    async def work() -> None:
        async with deadline.kept():
            deadline.set(0.0)
            try:
                await asyncio.Event().wait()
            finally:
                deadline.set(5.0)

    with pytest.raises(TimeoutError):
        await work()
    deadline.set(5.0)
