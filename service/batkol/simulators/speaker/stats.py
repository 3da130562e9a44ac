"""Records of the voice double: one a request. Times are `time.monotonic()`."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

_REQUESTS: Final = 4096  # records kept; the oldest go first


class SpokenRequest(msgspec.Struct):
    """One request."""

    number: int
    came_at: float
    text: str = ""
    model: str = ""
    voice: str = ""
    response_format: str = ""
    first_byte_at: float | None = None
    cancelled_at: float | None = None
    """The moment at which the client closed the connection before the answer was whole."""
    ended_at: float | None = None
    ending: str = ""
    """`whole`, `cancelled`, the status of a refusal, or the kind of the fault that ended it."""
    bytes_whole: int = 0
    """Bytes of the whole sound."""
    bytes_sent: int = 0
    bytes_sent_after: int = 0
    """Bytes of sound that were sent after the client had closed the connection."""

    def sent(self, size: int) -> None:
        """Count bytes of sound that were written."""
        self.bytes_sent += size
        if self.cancelled_at is not None:
            self.bytes_sent_after += size

    def ended(self, ending: str, now: float) -> None:
        """Close the record, before the client can know of the end. Only the first time counts."""
        if self.ended_at is None:
            self.ended_at, self.ending = now, ending


class SpeakerStats:
    """Records since the start or the last reset."""

    def __init__(self) -> None:
        self.records: deque[SpokenRequest] = deque(maxlen=_REQUESTS)
        self.requests = 0
        self.connections = 0
        self.most_under_way = 0

    @property
    def under_way(self) -> int:
        """Requests that came and did not end."""
        return sum(record.ended_at is None for record in self.records)

    def came(self, now: float) -> SpokenRequest:
        """Begin a record and number it."""
        self.requests += 1
        record = SpokenRequest(self.requests, now)
        self.records.append(record)
        self.most_under_way = max(self.most_under_way, self.under_way)
        return record

    def summary(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "requests": self.requests,
            "connections": self.connections,
            "under_way": self.under_way,
            "most_under_way": self.most_under_way,
            "records": msgspec.to_builtins(list(self.records)),
        }
