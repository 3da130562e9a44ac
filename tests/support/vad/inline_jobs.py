"""The detector's thread for virtual time: each job is done on the loop, and takes as long as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


class InlineJobs:
    """One job after the other, as `Worker` does them, `takes_s` seconds of the loop's clock each."""

    fault = ""
    dead = False

    def __init__(self, takes_s: float = 0.002) -> None:
        self._takes_s = takes_s
        self._one = asyncio.Lock()

    async def run(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        async with self._one:
            await asyncio.sleep(self._takes_s)
            return function(*args)

    def close(self) -> None:
        """There is no thread to end."""

    def revive(self) -> None:
        raise AssertionError("it does not die")
