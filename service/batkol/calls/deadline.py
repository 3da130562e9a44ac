"""The deadline of one piece of work: none until a limit is set, then the earliest limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Deadline:
    """One piece of work's, on the running loop. A limit may be set before the work begins, and while it goes on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.due: float | None = None
        """By the loop's clock; None: never."""
        self._timeout: asyncio.Timeout | None = None

    def set(self, within: float) -> None:
        """Allow `within` seconds from now, or what is left of what was allowed before."""
        due = self._loop.time() + within
        self.due = due if self.due is None else min(due, self.due)
        if self._timeout is not None and not self._timeout.expired():  # then it is given up already
            self._timeout.reschedule(self.due)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancel the block when the time is up, and raise `TimeoutError`."""
        try:
            async with asyncio.timeout_at(self.due) as self._timeout:
                yield
        finally:
            self._timeout = None
