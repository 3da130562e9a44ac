"""Threads that the service cannot do without: each can be started again when it has died, and a task sees to that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final, Protocol

from batkol.errors import BatkolError
from batkol.faults import fault_of

LOOK_S: Final = 0.25
"""Seconds between two looks at a thread."""


class ThreadDiedError(BatkolError):
    """A thread ended that should have gone on; it is started again."""


class Revivable(Protocol):
    """A part that works on a thread of its own, and can start another thread."""

    @property
    def fault(self) -> str:
        """The fault of which the thread died; "" if it is not known."""

    @property
    def dead(self) -> bool:
        """Whether the thread was started, was not asked to end, and is gone."""

    def revive(self) -> None:
        """Start another thread in its place; called on the event loop, when `dead`."""


async def watch(owner: Revivable) -> None:
    """Wait until the thread is dead, start another one and raise `ThreadDiedError`. Cancelling it loses nothing.

    Each death is one error, also of a thread that was dead before the first look.
    """
    while not owner.dead:  # noqa: ASYNC110  a thread that dies sets no event
        await asyncio.sleep(LOOK_S)
    fault = owner.fault  # of the thread that died
    owner.revive()
    raise ThreadDiedError(f"the thread ended ({fault or 'without an error'})")


class Thread:
    """A daemon thread, which can be started more than once."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._name = name
        self._thread: threading.Thread | None = None
        self.fault = ""
        """The fault of which the thread died."""

    @property
    def begun(self) -> bool:
        return self._thread is not None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin, or begin again."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait until it has ended, for so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 -- no caller is left to raise it to; `watch` raises it on the loop
            self.fault = fault_of(error)
