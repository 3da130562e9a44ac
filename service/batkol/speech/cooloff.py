"""The pause after which a call may try a streaming recognizer again that keeps failing it."""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 2  # failures in a row that make a call wait
COOL_OFF: Final = 30.0  # seconds without the recognizer after that


class CoolOff:
    """One per call and recognizer. `now` in seconds of one clock."""

    __slots__ = ("_failures", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._until = float("-inf")

    def fail(self, now: float, *, for_good: bool = False, at_once: bool = False) -> None:
        """The recognizer failed: `for_good` where no retry can help, `at_once` where a retry would make it worse."""
        self._failures += 1
        if for_good:
            self._until = float("inf")
        elif at_once or self._failures >= PATIENCE:
            self._until = max(self._until, now + COOL_OFF)  # "for good" stays for good

    def succeed(self) -> None:
        """The recognizer delivered a final: what was is forgiven."""
        self._failures = 0

    def allows(self, now: float) -> bool:
        """Whether the call may open a streaming session."""
        return now >= self._until
