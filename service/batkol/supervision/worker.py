"""A thread that does one job after the other for the event loop.

An executor does the same by way of two futures, a condition and a semaphore, which costs more than twice as much CPU
for the way there and back. Sixteen times a second that counts: with ten calls, a quarter of the job itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar, TypeVarTuple

from batkol.supervision.threads import Revivable, Thread, ThreadDiedError

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


class Jobs(Revivable, Protocol):
    """A thread, or its double, that does one job after the other. See `Worker`."""

    async def run(self, function: Callable[[*Args], Result], *args: *Args) -> Result: ...
    def close(self) -> None: ...


class Worker:
    """Starts its thread with the first job. The thread does not keep the process from ending."""

    __slots__ = ("_closed", "_jobs", "_thread", "_unanswered")

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(self._work, name)
        self._unanswered: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def run(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        """Call `function` in the thread, after the jobs before it; return what it returns, or raise what it raises.

        Raises `ThreadDiedError` when the thread was replaced before it had an answer. Cancelling it loses the answer,
        and not the job.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()

        def job() -> None:
            try:
                result = function(*args)
            except BaseException as error:  # noqa: BLE001 -- whatever it is, it is for who asked
                settle(answer.set_exception, error)
            else:
                settle(answer.set_result, result)

        def settle(how: Callable[[Any], None], what: object) -> None:
            with suppress(RuntimeError):  # the loop is closed, and no task waits any more
                loop.call_soon_threadsafe(_unless_settled, answer, how, what)

        if not self._thread.begun:
            self._thread.start()
        self._jobs.put(job)
        self._unanswered.add(answer)
        try:
            return await answer
        finally:
            self._unanswered.discard(answer)

    def close(self) -> None:
        """Let the thread end after its present work; does not wait for it."""
        self._closed = True
        self._jobs.put(None)

    @property
    def fault(self) -> str:
        """See `Revivable`."""
        return self._thread.fault

    @property
    def dead(self) -> bool:
        """See `Revivable`."""
        return self._thread.begun and not self._thread.alive and not self._closed

    def revive(self) -> None:
        """See `Revivable`. What the dead thread was asked is raised where it was asked; it may be asked again."""
        self._jobs = SimpleQueue()
        for answer in self._unanswered:
            if not answer.done():
                answer.set_exception(ThreadDiedError("the thread died before it returned an answer"))
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _unless_settled(answer: asyncio.Future[Any], how: Callable[[Any], None], what: object) -> None:
    if not answer.done():
        how(what)
