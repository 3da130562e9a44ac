"""One life of a plug-in: a thread with an event loop of its own, from the import of its code to its last task.

The code of a plug-in may do anything to its own thread: block it, leave tasks behind, never return, end with
`SystemExit`. The thread is a daemon, so it does not hold the process either.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import EntryPoint
from typing import Any

import structlog
import uvloop

from batkol.errors import CallError
from batkol.faults import foreign_fault_of, frames_of
from batkol.plugins.contract import PluginHost

log = structlog.get_logger()


class PluginFailedError(CallError):
    """The code of a plug-in raised. The text names the class of its error and the place, never a text of its own."""


class PluginLife:
    """A daemon thread. Everything here but `_work` and what it calls is used on the event loop of the calls."""

    def __init__(
        self, name: str, entry: EntryPoint, batkol: PluginHost, on_fault: Callable[[str, list[str]], None]
    ) -> None:
        self._name = name
        self._entry = entry
        self._batkol = batkol
        self._on_fault = on_fault
        self._service = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=f"plugin.{name}", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopping = False
        self._ended = asyncio.Event()
        self._error: BaseException | None = None
        self._asked_at: float | None = None  # by the loop's clock: when it was first asked without an answer
        self.begun = asyncio.Event()
        """Set when its code is imported, and its function runs."""

    def start(self) -> None:
        """Begin: import the code, and run its function."""
        self._thread.start()

    async def ended(self) -> None:
        """Wait until the thread is over. Raises `PluginFailedError` if the code raised. Cancelling it ends nothing."""
        await self._ended.wait()
        if isinstance(self._error, PluginFailedError):
            raise self._error
        if self._error is not None:
            raise PluginFailedError(foreign_fault_of(self._error)).with_traceback(self._error.__traceback__) from None

    async def stop(self, within: float) -> bool:
        """Cancel the function; return whether the thread was over within so many seconds. One that hangs is left."""
        self._stopping = True
        self._call(self._cancel)
        if self._thread.ident is None:
            return True
        try:
            async with asyncio.timeout(within):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    # -- how it is doing -----------------------------------------------------------------------------------------------

    def ask(self, now: float) -> None:
        """Ask the event loop of the plug-in for a sign of life, unless it owes one."""
        if self._asked_at is None and self._loop is not None and self._thread.is_alive():
            self._asked_at = now
            self._call(self._answer)

    def silent_s(self, now: float) -> float:
        """Return for how many seconds its event loop has not answered; 0 while it answers."""
        return 0.0 if self._asked_at is None else now - self._asked_at

    def cpu_s(self) -> float:
        """Return the CPU time of the thread, in seconds; 0 where the platform does not say."""
        if self._thread.ident is None or not self._thread.is_alive():
            return 0.0
        with suppress(OSError, AttributeError):  # it ended just now; macOS
            return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))
        return 0.0

    def _answer(self) -> None:
        self._call_service(self._answered)

    def _answered(self) -> None:
        self._asked_at = None

    # -- on the thread of the plug-in ----------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            function = self._entry.load()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                self._loop = runner.get_loop()
                self._loop.set_exception_handler(self._on_unowned)
                runner.run(self._live(function))
        except BaseException as error:  # noqa: BLE001 -- of any class; it is raised where the plug-in is supervised
            self._error = None if isinstance(error, asyncio.CancelledError) else error
        finally:
            self._call_service(self._ended.set)

    async def _live(self, function: Callable[[PluginHost], Any]) -> None:
        self._main = asyncio.current_task()
        if self._stopping:
            return
        self._call_service(self.begun.set)
        working = function(self._batkol)
        if not inspect.isawaitable(working):
            raise PluginFailedError("the entry point is not an asynchronous function of one parameter")
        try:
            await working
        finally:
            if (left := len(asyncio.all_tasks()) - 1) and not self._stopping:
                text = "[PLUGIN] plug-in ended and left tasks; the service cancels them"
                log.warning(text, plugin=self._name, tasks=left)

    def _on_unowned(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note an error in a task or a callback that no code waits for."""
        error = context.get("exception")
        fault = "a task that was never awaited" if error is None else foreign_fault_of(error)
        self._call_service(self._on_fault, fault, [] if error is None else frames_of(error))

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    # -- between the threads -------------------------------------------------------------------------------------------

    def _call(self, callback: Callable[[], None]) -> None:
        """Call back on the loop of the plug-in, if it is there."""
        with suppress(RuntimeError):  # it is closed: the plug-in is over
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback)

    def _call_service(self, callback: Callable[..., object], *about: object) -> None:
        """Call back on the event loop of the calls."""
        with suppress(RuntimeError):  # it is closed: the service is over
            self._service.call_soon_threadsafe(callback, *about)
