"""Calls that may never return, such as reading a file whose file server is away.

The interpreter joins the threads of its pools before it ends, and `asyncio.run` those of the loop's own, so one call
that hangs on such a thread hangs the end of the process. The threads here are daemons, which nothing waits for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

CLOSE_S: Final = 0.5
"""Seconds that calls at their end may take: native code must not run while the interpreter ends."""

Answer = TypeVar("Answer")


class BlockingCalls:
    """One daemon thread, which makes blocking calls one after the other. `close` it when done with it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether the thread is there; closed, whether a call hangs."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, call: Callable[[], Answer]) -> asyncio.Future[Answer]:
        """Make the call after those before it. Cancelling the future gives up the answer; the call goes on."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def job() -> None:
            settle = _made(call, answered)
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:  # the loop is closed, and with it the process is ending
                return

        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        return answered

    async def close(self) -> None:
        """End the thread when its last call has returned, and wait for that, but no longer than `CLOSE_S`."""
        if self._thread is None:
            return
        ended = self.submit(lambda: None)
        self._jobs.put(None)
        await asyncio.wait({ended}, timeout=CLOSE_S)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _made(call: Callable[[], Answer], answered: asyncio.Future[Any]) -> Callable[[], None]:
    """Call `work` and return the callback that hands its result to the event loop."""
    try:
        answer = call()
    except Exception as error:  # noqa: BLE001 - it is raised where the call was asked for
        failure = error  # the name `error` ends with this block
        return lambda: None if answered.done() else answered.set_exception(failure)
    return lambda: None if answered.done() else answered.set_result(answer)
