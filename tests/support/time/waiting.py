"""Waiting for what somebody else does. The time-out only keeps a broken test from hanging."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], seconds: float = 45.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.003)


async def eventually(ask: Callable[[], Awaitable[object]], seconds: float = 60.0) -> None:
    """Ask until the answer is yes: of what has to be fetched."""
    async with asyncio.timeout(seconds):
        while not await ask():
            await asyncio.sleep(0.05)
