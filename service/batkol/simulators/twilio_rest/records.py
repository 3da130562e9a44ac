"""Records of the requests of Twilio's REST API: what was asked, by whom, and what was answered."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Final

import msgspec

_MOST: Final = 10_000


class RestRecord(msgspec.Struct, kw_only=True):
    """One request. Times are seconds by the double's clock, which is monotonic. No password is kept."""

    number: int
    """From 1, since the start or the last reset."""
    connection: int
    """The number of its connection, from 1: two requests with the same one shared it."""
    method: str
    path: str
    received_at: float
    user: str = ""
    """The user of the basic auth: an account SID, or an API key's."""
    fields: dict[str, str] = {}
    """The form of an update."""
    status: int = 0
    """The HTTP status of the answer; 0: none was sent."""
    code: int | None = None
    """Twilio's code of a refusal."""
    ended_at: float | None = None


class RestRecords:
    """The newest requests, and totals since the start or the last reset."""

    def __init__(self) -> None:
        self.newest: deque[RestRecord] = deque(maxlen=_MOST)
        self._count = 0

    def begin(self, method: str, path: str, connection: int, now: float) -> RestRecord:
        """Return the record of a new request."""
        self._count += 1
        record = RestRecord(number=self._count, connection=connection, method=method, path=path, received_at=now)
        self.newest.append(record)
        return record

    def summary(self) -> dict[str, Any]:
        """Return totals and records as plain JSON types."""
        return {
            "requests": self._count,
            "statuses": dict(Counter(str(record.status) for record in self.newest)),
            "records": [msgspec.to_builtins(record) for record in self.newest],
        }
