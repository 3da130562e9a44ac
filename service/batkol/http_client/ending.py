"""The end of a response whose content is known or of no interest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import httpx

_LAST_READS: Final = 4
_LAST_S: Final = 0.02
"""For the end of an answer whose last text is there: what ends in that time leaves its connection to the next one."""


async def read_to_end(pieces: AsyncIterator[bytes]) -> None:
    """Read what ends a body, so that its connection can be used again; if that takes time, the connection is closed."""
    try:
        async with asyncio.timeout(_LAST_S):
            for _ in range(_LAST_READS):
                if await anext(pieces, None) is None:
                    return
    except (TimeoutError, httpx.TransportError):
        pass  # the answer is whole, and the connection is closed
