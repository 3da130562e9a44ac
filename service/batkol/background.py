"""Work that goes on for as long as the service does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

log = structlog.get_logger()


async def own(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run `work` until the stack is left; its death before that is a fault of ours, and loud."""
    task = asyncio.create_task(work, name=name)

    def died(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            log.critical("[CFG] a part of the service died; restart this pod", part=name, exc_info=error)

    task.add_done_callback(died)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)
