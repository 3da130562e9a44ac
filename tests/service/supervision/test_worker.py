"""One thread for jobs: in order, off the loop, and nothing that one of them does stops the next."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from batkol.supervision.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("busy")
    yield worker
    worker.close()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "busy"]


async def test_jobs_are_done_in_order_in_one_thread_that_begins_with_the_first(worker: Worker) -> None:
    assert threads() == []
    order: list[int] = []

    def job(number: int) -> tuple[int, str]:
        order.append(number)
        return number, threading.current_thread().name

    assert await asyncio.gather(*(worker.run(job, number) for number in range(100))) == [
        (number, "busy") for number in range(100)
    ]
    assert order == list(range(100))
    assert threads() == ["busy"]


async def test_what_a_job_raises_is_raised_where_it_was_asked_for_and_the_next_is_done(worker: Worker) -> None:
    def fail(text: str) -> None:
        raise SystemExit(text)

    with pytest.raises(SystemExit, match="because"):
        await worker.run(fail, "because")
    assert await worker.run(str.upper, "on") == "ON"


async def test_a_job_whose_caller_is_gone_is_done_all_the_same(worker: Worker) -> None:
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    begun, go_on, done = asyncio.Event(), threading.Event(), threading.Event()

    def job() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(20)
        done.set()

    asking = asyncio.create_task(worker.run(job))
    await begun.wait()
    asking.cancel()
    await asyncio.wait((asking,))
    go_on.set()

    assert await worker.run(done.is_set)
    assert failures == []


async def test_closed_it_does_what_it_was_given_and_ends(worker: Worker) -> None:
    asked = asyncio.create_task(worker.run(str.upper, "last"))
    await asyncio.sleep(0)
    worker.close()

    assert await asked == "LAST"
    async with asyncio.timeout(20):
        while threads():
            await asyncio.sleep(0.01)


def test_a_job_that_hangs_keeps_no_process_and_one_that_ends_after_its_loop_says_nothing() -> None:
    program = """
import asyncio, threading, time
from batkol.supervision.worker import Worker

may_end, begun = threading.Event(), threading.Event()

async def ask(worker, job):
    asking = asyncio.create_task(worker.run(job))
    await asyncio.to_thread(begun.wait)
    asking.cancel()

def job():
    begun.set()
    may_end.wait()

worker = Worker("late")
asyncio.run(ask(worker, job))
may_end.set()
worker.close()
worker._thread.join(20)
hanging = Worker("hanging")
begun.clear()
asyncio.run(ask(hanging, lambda: (begun.set(), time.sleep(1000))))
print("the end")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")
