"""Work that goes on for as long as the service does: each task is started again when it dies, and counted.

The event loop itself watches them, by callbacks: there is no task that could die instead of the one it watches.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from batkol.faults import fault_of, frames_of
from batkol.status import TaskStatus, UnownedStatus
from batkol.supervision.restarts import LONGEST_HEARING_S, LONGEST_S, STEADY_S, Restarts, TaskState

Work = Callable[[], Coroutine[Any, Any, None]]
"""Makes the coroutine of one life of the task. It must find its way from what an earlier life left."""

CANCELLED: Final = "the task was cancelled, but the service is not ending"
RETURNED: Final = "the task returned, but must run until the service ends"
UNOWNED: Final = "unowned"
"""The name of callbacks and tasks without an owner."""

log = structlog.get_logger()


class BackgroundTask:
    """One task. It runs from `start` to `stop`; a death between them, of whatever cause, is followed by a restart.

    With `may_return` it may also end by itself, and is started again by the next `start`.
    """

    def __init__(self, work: Work, name: str, *, needed_to_hear: bool = False, may_return: bool = False) -> None:
        self.name = name
        self.needed_to_hear = needed_to_hear
        self.restarts = Restarts(longest_s=LONGEST_HEARING_S if needed_to_hear else LONGEST_S)
        self._work = work
        self._may_return = may_return
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._next: asyncio.TimerHandle | None = None  # the restart, or the news that it is well again
        self._stopping = False
        self._wanted = False

    def start(self) -> None:
        """Begin, unless it runs or is about to."""
        if not self._stopping and self.restarts.doing is TaskState.IDLE:
            self._begin()
        self._wanted = self._task is not None and self._task.done()  # it has just returned, and `_on_done` comes next

    async def join(self) -> None:
        """Wait until the task ends by itself, or dies. Cancelling it cancels nothing else."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def stop(self) -> None:
        """End the task for good, and wait until it is gone. Cancelling this stops the waiting only."""
        self._stopping = True
        self._disarm()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def status(self) -> TaskStatus:
        """The entry of `/v1/status`."""
        restarts, now = self.restarts, self._loop.time()
        since = datetime.now(UTC).timestamp() - (now - restarts.since)
        return TaskStatus(
            state=restarts.state(now),
            since=datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds") if restarts.since else None,
            deaths=restarts.deaths,
            last_fault=restarts.fault or None,
            needed_to_hear=self.needed_to_hear,
        )

    def is_failing(self) -> bool:
        """Return whether the task dies again and again."""
        return self.restarts.is_failing(self._loop.time())

    def is_down(self) -> bool:
        """Return whether the task waits for a restart, or dies again and again."""
        return self.restarts.doing is TaskState.RESTARTING or self.is_failing()

    def _begin(self) -> None:
        self._disarm()
        self._wanted = False
        self.restarts.begin(self._loop.time())
        self._task = self._loop.create_task(self._live(), name=self.name)
        self._task.add_done_callback(self._on_done)
        if self.restarts.deaths:
            self._next = self._loop.call_later(STEADY_S, self._on_steady)

    async def _live(self) -> None:
        await self._work()  # in here, so that a `work` that cannot even begin is a death like any other

    def _on_done(self, done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()  # taken, so that asyncio does not miss it
        if self._stopping:
            return
        if done.cancelled():
            self._die(CANCELLED, [])
        elif error is not None:
            self._die(fault_of(error), frames_of(error))
        elif self._may_return:
            self.restarts.end(self._loop.time())
            if self._wanted:
                self._begin()
        else:
            self._die(RETURNED, [])

    def _die(self, fault: str, frames: list[str]) -> None:
        self._disarm()
        death = self.restarts.die(self._loop.time(), fault)
        self._next = self._loop.call_later(death.again_in_s, self._begin)
        if death.new:
            log.critical(
                "[TASK] background task died; the service restarts it",
                task=self.name,
                fault=fault,
                frames=frames,
                deaths=self.restarts.deaths,
                again_in_s=round(death.again_in_s, 2),
            )
        if death.fails:
            log.critical(
                "[TASK] background task keeps dying; the service goes on restarting it",
                task=self.name,
                fault=fault,
                consequence="this pod takes no new call" if self.needed_to_hear else "calls go on",
                remedy="docs/runbooks.md#batkoltaskdown",
            )

    def _on_steady(self) -> None:
        self._next = None
        log.info(
            "[TASK] background task recovered: it has run for a minute", task=self.name, deaths=self.restarts.deaths
        )

    def _disarm(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None


class Tasks:
    """All background tasks of one process, by name. Made and used on the event loop."""

    def __init__(self) -> None:
        self._tasks: dict[str, BackgroundTask] = {}
        self._loop = asyncio.get_running_loop()
        self._unowned = Restarts()

    def add(self, work: Work, name: str, *, needed_to_hear: bool = False, may_return: bool = False) -> BackgroundTask:
        """Add a task; the caller starts and stops it."""
        if name in self._tasks:
            raise ValueError(f"there already is a background task {name}")
        task = BackgroundTask(work, name, needed_to_hear=needed_to_hear, may_return=may_return)
        self._tasks[name] = task
        return task

    async def own(
        self,
        stack: AsyncExitStack,
        work: Work,
        name: str,
        *,
        needed_to_hear: bool = False,
        may_return: bool = False,
    ) -> None:
        """Run `work` until the stack is left, again and again if it dies. See `BackgroundTask`."""
        task = self.add(work, name, needed_to_hear=needed_to_hear, may_return=may_return)
        task.start()
        stack.push_async_callback(task.stop)

    def watch_unowned(self, stack: AsyncExitStack) -> None:
        """Count failures without an owner, too: callbacks, timers and tasks of this loop, and all threads."""
        stack.callback(self._loop.set_exception_handler, self._loop.get_exception_handler())
        self._loop.set_exception_handler(self._on_unowned)
        stack.callback(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = self._on_thread

    def status(self) -> dict[str, TaskStatus]:
        """The entries of `/v1/status`, by name, with the one of work without an owner."""
        unowned = UnownedStatus(deaths=self._unowned.deaths, last_fault=self._unowned.fault or None)
        return {**{name: task.status() for name, task in self._tasks.items()}, UNOWNED: unowned}

    def why_not_ready(self) -> str | None:
        """The reason why calls cannot be heard: a task that hearing needs keeps dying. Or None."""
        failing = [task.name for task in self._tasks.values() if task.needed_to_hear and task.is_failing()]
        return f"keeps dying: {', '.join(failing)}" if failing else None

    def down(self) -> dict[str, float]:
        """Tasks that wait for a restart or died five times in a minute, 1 or 0."""
        return {name: float(task.is_down()) for name, task in list(self._tasks.items())}

    def deaths(self) -> dict[str, float]:
        """Deaths since the start, by task; read on any thread."""
        owned = {name: task.restarts.deaths for name, task in list(self._tasks.items())}
        return {**owned, UNOWNED: self._unowned.deaths}

    def _on_unowned(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, OSError):  # a peer that went away is no fault of this service
            loop.default_exception_handler(context)
            return
        task = context.get("future") or context.get("task")
        self._count_unowned(f"task {task.get_name()}" if isinstance(task, asyncio.Task) else "callback", error)

    def _on_thread(self, died: threading.ExceptHookArgs) -> None:
        if died.exc_value is not None and not isinstance(died.exc_value, SystemExit):
            name = "thread" if died.thread is None else f"thread {died.thread.name}"
            with suppress(RuntimeError):  # the loop is closed, and the service gone
                self._loop.call_soon_threadsafe(self._count_unowned, name, died.exc_value)

    def _count_unowned(self, work: str, error: BaseException) -> None:
        fault, now = fault_of(error), self._loop.time()
        death = self._unowned.die(now, fault)
        self._unowned.end(now)
        if death.new:
            log.critical(
                "[TASK] unowned work died; its result is lost",
                work=work,
                fault=fault,
                frames=frames_of(error),
            )
