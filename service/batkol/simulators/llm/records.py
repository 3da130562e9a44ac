"""Records of the double's requests: what was asked, what was sent when, and what was sent after a cancellation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec

from batkol.simulators.llm.requests import ChatMessage

_MOST: Final = 10_000


class RequestOutcome(StrEnum):
    """Ends of a request."""

    OPEN = "open"
    FINISHED = "finished"
    CANCELLED = "cancelled"  # the client closed the connection first
    REFUSED = "refused"
    FAULTED = "faulted"  # a fault ended it


class RequestRecord(msgspec.Struct, kw_only=True):
    """One request for a completion. Times are seconds by the double's clock, which is monotonic."""

    number: int
    """From 1, since the start or the last reset."""
    connection: int
    """The number of its connection, from 1: two requests with the same one shared it."""
    received_at: float
    model: str = ""
    stream: bool = False
    messages: tuple[ChatMessage, ...] = ()
    """The messages, with the tool calls of earlier answers and their results."""
    tools: tuple[str, ...] = ()
    """Names of the tools that were offered."""
    includes_usage: bool = False
    """Whether the usage was asked for."""
    status: int = 0
    """The HTTP status of the answer; 0: none was sent."""
    planned_tokens: int = 0
    """Tokens of the whole answer."""
    sent_tokens: int = 0
    """Tokens written, those after a cancellation included."""
    text: str = ""
    """Text written."""
    first_token_at: float | None = None
    cancelled_at: float | None = None
    """The time at which the end of the client's connection reached the double."""
    sent_after_cancel: int = 0
    """Tokens written after that."""
    ended_at: float | None = None
    outcome: RequestOutcome = RequestOutcome.OPEN


class Records:
    """The newest requests, and totals since the start or the last reset."""

    def __init__(self) -> None:
        self.newest: deque[RequestRecord] = deque(maxlen=_MOST)
        self._count = 0

    def begin(self, connection: int, now: float) -> RequestRecord:
        """Return the record of a new request."""
        self._count += 1
        record = RequestRecord(number=self._count, connection=connection, received_at=now)
        self.newest.append(record)
        return record

    def summary(self) -> dict[str, Any]:
        """Return totals and records as plain JSON types."""
        return {
            "requests": self._count,
            "outcomes": {outcome.value: _count(self.newest, outcome) for outcome in RequestOutcome},
            "tokens_sent": sum(record.sent_tokens for record in self.newest),
            "tokens_sent_after_cancel": sum(record.sent_after_cancel for record in self.newest),
            "records": [msgspec.to_builtins(record) for record in self.newest],
        }


def _count(records: Iterable[RequestRecord], outcome: RequestOutcome) -> int:
    return sum(record.outcome is outcome for record in records)
