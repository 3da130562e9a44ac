"""The schedule of questions to the pods about their configuration: quick after a change, rare otherwise."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

HURRIED_S: Final = 0.3
HURRY_FOR_S: Final = 60.0
"""A pod that has not taken a change by then needs a human more than another question."""

RELAXED_S: Final = 15.0


@dataclass(slots=True)
class Asking:
    """The questions to one agent's pods. `now` is the event loop's clock, in seconds."""

    deadline: float = 0.0  # when to ask next
    _wanted: Hashable = field(default=None, repr=False)
    _hurry_until: float = field(default=0.0, repr=False)

    def want(self, what: Hashable, now: float) -> None:
        """Say what all should run, and who they are. A change of either is asked about at once."""
        if what != self._wanted:
            self._wanted = what
            self._hurry_until = now + HURRY_FOR_S
            self.deadline = now

    def due(self, now: float) -> bool:
        """Whether to ask now."""
        return now >= self.deadline

    def asked(self, *, all_in_sync: bool, now: float) -> None:
        """Say that they have been asked, and whether that settled it."""
        hurried = not all_in_sync and now < self._hurry_until
        self.deadline = now + (HURRIED_S if hurried else RELAXED_S)
