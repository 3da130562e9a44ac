"""The schedule by which one agent's pods are polled for their configuration: quick after a change, slow otherwise."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

QUICK_INTERVAL_S: Final = 0.3
QUICK_FOR_S: Final = 60.0
"""Seconds of quick polls after a change. A pod that has not applied the change by then needs a human."""

SLOW_INTERVAL_S: Final = 15.0


@dataclass(slots=True)
class PollSchedule:
    """The times at which one agent's pods are polled. `now` is the event loop's clock, in seconds."""

    deadline: float = 0.0  # time of the next poll
    _expected: Hashable = field(default=None, repr=False)
    _quick_until: float = field(default=0.0, repr=False)

    def expect(self, what: Hashable, now: float) -> None:
        """Set what all pods should run, and which pods there are. A change of either makes a poll due now."""
        if what != self._expected:
            self._expected = what
            self._quick_until = now + QUICK_FOR_S
            self.deadline = now

    def due(self, now: float) -> bool:
        """Whether a poll is due."""
        return now >= self.deadline

    def record(self, *, all_in_sync: bool, now: float) -> None:
        """Record a poll, and whether all pods run the expected configuration."""
        quick = not all_in_sync and now < self._quick_until
        self.deadline = now + (QUICK_INTERVAL_S if quick else SLOW_INTERVAL_S)
