"""Counts of one sink in this pod, since its start."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from batkol.sinks.stored import Settlement, StoredEvent

SAID_EVERY_S: Final = 60.0
"""Seconds between two log lines about dead letters."""


class Tally:
    """`on_delay` gets the age of each delivered event, in seconds."""

    def __init__(self, name: str, on_delay: Callable[[float], None], clock: Callable[[], float]) -> None:
        self.delivered = self.retries = self.refused = 0
        self.delay_s: float | None = None
        self._on_delay = on_delay
        self._clock = clock
        self._say_at = 0.0
        self._log = structlog.get_logger().bind(sink=name)

    def note_delivery(self, event: StoredEvent) -> None:
        """The receiver has the event now."""
        self.delay_s = max(0.0, time.time() - event.time.timestamp())  # the clocks of two pods
        self._on_delay(self.delay_s)

    def note(self, done: Settlement) -> None:
        """Count what became of events, and log what was refused."""
        self.delivered += done.delivered
        self.refused += len(done.refused)
        self.retries += sum(1 for each in done.held.values() if each.reason) + len(done.postponed)
        if done.refused and self._clock() >= self._say_at:
            self._say_at = self._clock() + SAID_EVERY_S
            self._log.warning(
                "[SINK] receiver refused events for good; they are dead letters, see `batkol sinks list`",
                events=len(done.refused),
                reason=next(iter(done.refused.values())),
            )
