"""The end of a stream or of a request, in the words that every recognizer shares: a reason, and what follows from it.

Each recognizer has a table of its own (`ErrorRow`), in which one row is one class of end. Its adapter translates
what it meets into a `SpeechError`, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from batkol.errors import UpstreamError

NO_STREAM_FREE: Final = "no_stream_free"
"""The reason when this process holds as many streams as it may."""

STALLED: Final = "stalled"
"""The reason of a stream that was given up because it answered nothing."""

NOT_ENDED: Final = "not_ended"
"""The reason of a half-closed stream whose end the recognizer never sent."""

Code = TypeVar("Code")


class Next(StrEnum):
    """Consequences of a stream's end."""

    ROTATE = "rotate"  # the vendor's time limit: go on with a new stream
    REOPEN = "reopen"  # no audio for too long: a new stream when there is audio again
    REPLAY = "replay"  # a fault on the way: back off, then a new stream from the last committed word
    COOL_OFF = "cool_off"  # too much: no further stream of this recognizer for the cool-off's seconds
    REMODEL = "remodel"  # the language lacks the model: log it once, and use the default one
    MISCONFIGURED = "misconfigured"  # the same request can never succeed: no new stream until a correction
    LOCAL = "local"  # this process ended it


class ErrorRow(NamedTuple, Generic[Code]):
    """One class of end. The rows of a table are tried in their order."""

    code: Code  # the vendor's status: gRPC's, HTTP's, a WebSocket close code
    text: str  # part of the message, lower case; "" matches any
    reason: str  # a short stable word, for metrics and logs
    next: Next


def find_row(table: Sequence[ErrorRow[Code]], code: Code, text: str) -> ErrorRow[Code] | None:
    """Return the first row for a status and its message; None if the table has none."""
    lowered = text.lower()
    return next((row for row in table if row.code == code and row.text in lowered), None)


class SpeechError(UpstreamError):
    """A recognizer ended a request or a stream. `next` is what becomes of the stream.

    `code` is the vendor's own word for it, such as gRPC's status or `http_503`: short, for spans. The message may be
    logged and shown, so it never has a caller's words, a number or a secret. `remedy` says what to do, for the person
    who set the account up; empty where waiting is all there is to do.
    """

    def __init__(
        self, message: str, *, reason: str, next_step: Next, code: str = "CANCELLED", remedy: str = ""
    ) -> None:
        retryable = next_step not in {Next.MISCONFIGURED, Next.REMODEL, Next.LOCAL}
        super().__init__(message, reason=reason, retryable=retryable, remedy=remedy)
        self.next = next_step
        self.code = code

    @property
    def is_local(self) -> bool:
        """Whether the fault is in this process, so that it does not count against the recognizer."""
        return self.reason == NO_STREAM_FREE or self.next is Next.LOCAL
