"""Waiting for what somebody else does. The time-out only keeps a broken test from hanging."""

import asyncio
from collections.abc import Awaitable, Callable

from support.time.virtual import VirtualLoop


async def until(condition: Callable[[], object], seconds: float = 45.0) -> None:
    """Wait for a condition."""
    pause_s = 0.003
    is_virtual = isinstance(asyncio.get_running_loop(), VirtualLoop)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(pause_s)
            if not is_virtual:
                pause_s = min(pause_s * 1.05, 0.01)  # who waits for long need not look 300 times a second


async def let_the_loop_run() -> None:
    """Let all run that waits for no timer and for nobody outside this loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def eventually(ask: Callable[[], Awaitable[object]], seconds: float = 60.0) -> None:
    """Ask until the answer is yes: of what has to be fetched."""
    async with asyncio.timeout(seconds):
        while not await ask():
            await asyncio.sleep(0.05)
