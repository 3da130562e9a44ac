"""The number of records in one transaction: halved after a time-out, doubled once there is room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ROOM: Final = 0.75
"""Share of the limit that the slowest statement of a batch twice as large may be expected to take."""

PROBE_AFTER: Final = 16
"""Batches written without growing after which a larger one is tried, whatever the last ones took."""


@dataclass(slots=True)
class BatchSize:
    """A machine without a clock: it gets the result of each batch."""

    most: int
    limit_s: float  # the server's own, for one statement
    records: int = field(init=False)
    _in_a_row: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.records = self.most

    def failed(self, tried: int) -> None:
        """A batch of so many records took too long, or has a record in it that is refused: try half of it."""
        self.records = max(1, tried // 2)
        self._in_a_row = 0

    def written(self, count: int, slowest_s: float) -> None:
        """A batch of `count` records was written; its slowest statement took `slowest_s` seconds."""
        if self.records >= self.most:
            return
        self._in_a_row += 1
        expected_s = slowest_s * 2 * self.records / max(1, count)
        if expected_s <= ROOM * self.limit_s or self._in_a_row >= PROBE_AFTER:
            self.records = min(self.most, 2 * self.records)
            self._in_a_row = 0
