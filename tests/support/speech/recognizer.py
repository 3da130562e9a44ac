"""A recognizer without a network: the same answer to whatever it is asked, after as long as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class TimedRecognizer:
    """`takes_s()` returns the seconds that the next answer takes."""

    def __init__(self, takes_s: Callable[[], float] = lambda: 0.1) -> None:
        self.asked = 0
        self._takes_s = takes_s

    async def recognize(self, audio: bytes) -> str:
        assert audio
        self.asked += 1
        await asyncio.sleep(self._takes_s())
        return "word"
