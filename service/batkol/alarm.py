"""One timer of the event loop, armed for the earliest of several deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` at the deadline, or a little earlier: what is called looks what is due, and arms it again."""

    __slots__ = ("_at", "_loop", "_ring", "_timer")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0  # uvloop's handles do not all have `when`

    @property
    def armed(self) -> bool:
        """Whether a timer is running."""
        return self._timer is not None

    def arm(self, due: float | None) -> None:
        """Ring at `due`, a time of the loop; never, if it is None."""
        if self._timer is not None and due is not None and self._at <= due:
            return  # an early ring finds nothing, and arms again: cheaper than a new timer for every partial
        self.disarm()
        if due is not None:
            self._at = due
            self._timer = self._loop.call_at(due, self._go)

    def disarm(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go(self) -> None:
        self._timer = None
        self._ring()


class Wakeup:
    """One task's wait for news, or for a time. `ring` never waits."""

    __slots__ = ("_alarm", "_loop", "_rung", "_waiter")

    def __init__(self) -> None:
        self._alarm = Alarm(self.ring)
        self._loop = asyncio.get_running_loop()
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the task, now or when it waits the next time."""
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, due: float | None) -> None:
        """Return at the next ring, at `due` (a time of the loop), or a little earlier. Cancelling it loses no ring."""
        if not self._rung:
            if due is not None:
                self._alarm.arm(due)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._rung = False

    def close(self) -> None:
        """Wake the task at no time any more; a ring still does."""
        self._alarm.disarm()
