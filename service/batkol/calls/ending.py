"""Calls whose audio is over and whose last finals are still to come: they hold no place, and there are only so many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from batkol.calls.call import Call

ENDING_S: Final = 20.0
"""Seconds without a place. Then a stream that a newer one of its call has replaced is cut off; any other call, whose
recognizers cannot be reached, goes on by their own time-outs and counts as a live one."""

MOST_REPLACED: Final = 3
"""Streams of one call that end at once behind its newest one; the oldest beyond them is cut off."""


class EndingCalls:
    """The calls that have ended and are not done. Oldest first; never awaits.

    A peer that opens stream after stream is bounded twice: `MOST_REPLACED` for a call, and `places` for all of them.
    """

    def __init__(self) -> None:
        self._since: dict[Call, float] = {}  # in the order of their ends
        self._replaced: set[Call] = set()

    def __len__(self) -> int:
        return len(self._since)

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._since))

    def add(self, call: Call, now: float) -> None:
        """The audio of this call is over; `now` by the loop's clock, in seconds."""
        self._since[call] = now

    def remove(self, call: Call) -> None:
        """Everything of this call is delivered. A call that is not here is ignored."""
        self._since.pop(call, None)
        self._replaced.discard(call)

    def replace(self, call_sid: str, now: float) -> None:
        """A newer stream of this call has begun: the older ones deliver what they have, within their time."""
        older = [call for call in self._since if call.identity.call_sid == call_sid]
        for call in older:
            self._replaced.add(call)
            call.limit_to(max(0.0, self._since[call] + ENDING_S - now))
        for call in older[:-MOST_REPLACED]:
            call.limit_to(0.0)

    def places(self, now: float, limit: int) -> int:
        """Return how many count as live ones: those beyond `limit`, or those whose time without a place is over."""
        late = sum(now - since >= ENDING_S and call not in self._replaced for call, since in self._since.items())
        return max(late, len(self._since) - limit)
