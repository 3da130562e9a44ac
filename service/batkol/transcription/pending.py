"""Work that the recognition of a call has under way: its sessions and its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class PendingWork:
    """One call's. All of it lives in the task group of the call, and none outlives it."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, group: asyncio.TaskGroup) -> None:
        """The call is up: from now on work may begin."""
        self._group = group

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin `work`; a call that is being cut off begins nothing, and drops it."""
        try:
            task = self._group.create_task(work, name=name)
        except RuntimeError:  # the group is being cut off: `abandon` settles what this would have answered
            work.close()
            return
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def finish(self) -> None:
        """Wait until nothing is under way, nor has begun meanwhile. Cancelling it stops the waiting."""
        while self.tasks:
            await asyncio.wait(self.tasks)
