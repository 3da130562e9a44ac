"""Memory of calls whose streams have ended here, for the next request that Twilio makes about them."""

from __future__ import annotations

from typing import Final, NamedTuple

REMEMBERED_S: Final = 60.0
"""Seconds for which an ended stream is remembered."""


class _Ended(NamedTuple):
    begun: float  # unix seconds
    ended: float  # by the loop's clock, in seconds
    hung_up: bool


class EndedCalls:
    """The newest ended stream of each call that carried audio, or that the agent ended."""

    def __init__(self) -> None:
        self._ended: dict[str, _Ended] = {}

    def add(self, call_sid: str, *, begun: float, now: float, hung_up: bool) -> None:
        """A stream has ended; `begun` in unix seconds, `now` by the loop's clock. Forget what is too old."""
        for old in [sid for sid, ended in self._ended.items() if now - ended.ended > REMEMBERED_S]:
            del self._ended[old]
        self._ended[call_sid] = _Ended(begun, now, hung_up)

    def begun(self, call_sid: str) -> float:
        """Return when the call's newest ended stream began, in unix seconds; -1 if there is none."""
        ended = self._ended.get(call_sid)
        return -1.0 if ended is None else ended.begun

    def hung_up(self, call_sid: str) -> bool:
        """Whether the agent has ended this call: no stream of it begins again."""
        ended = self._ended.get(call_sid)
        return ended is not None and ended.hung_up
