"""Time limits of one streamed answer. Time in which the consumer does not wait for text does not count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from batkol.answering.answerer import AnswererError

_Result = TypeVar("_Result")

_LATE: Final = "The fault is the server's or the network's; the same request may succeed later."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Time limits in seconds."""

    connect_s: float = 3.0
    """For a connection, TLS included."""
    first_s: float = 8.0
    """From the request to the first text."""
    between_s: float = 5.0
    """From one text to the next. Comments and chunks without text or tool calls do not count."""
    whole_s: float = 60.0
    """For all the waiting of an answer."""


class AnswerPatience:
    """The time that one answer has left. `who` is for errors. Waits by the loop's clock, which is monotonic."""

    def __init__(self, limits: Limits, who: str) -> None:
        self._limits = limits
        self._who = who
        self._whole = limits.whole_s
        self._next = limits.first_s
        self._begun = False

    async def wait(self, awaited: Awaitable[_Result]) -> _Result:
        """Await `awaited` within the time that is left. Raises `AnswererError`; cancelling this cancels `awaited`."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(max(0.0, min(self._next, self._whole))):
                return await awaited
        except TimeoutError:
            raise self._late() from None
        finally:
            waited = clock() - began
            self._whole -= waited
            self._next -= waited

    def progressed(self) -> None:
        """Something of the answer has come: the next thing has its own time."""
        self._begun = True
        self._next = self._limits.between_s

    def _late(self) -> AnswererError:
        limits = self._limits
        if self._whole < self._next:
            what, reason = f"did not end its answer within {limits.whole_s:g} s", "too_slow"
        elif self._begun:
            what, reason = f"stopped in mid-answer for {limits.between_s:g} s", "stalled"
        else:
            what, reason = f"sent no text within {limits.first_s:g} s", "no_first_token"
        return AnswererError(f"{self._who} {what}. {_LATE}", reason=reason, retryable=True)
