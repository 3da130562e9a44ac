"""Google's errors, translated once: a status code first, its text only to refine it.

Each row of `TABLE` is one class of end a stream can come to, in the order they are tried. The texts are Google's, as
users report them; they are matched in lower case and only where the code alone is ambiguous.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import grpc
from google.api_core import exceptions

from batkol.errors import UpstreamError
from batkol.google_api.error_info import ErrorInfo, of_trailers
from batkol.recognizers.google.remedies import remedy_of


class Next(StrEnum):
    """Consequences of a stream's end."""

    ROTATE = "rotate"  # Google's time limit: go on with a new stream
    REOPEN = "reopen"  # no audio for too long: a new stream when there is audio again
    REPLAY = "replay"  # a fault on the way: back off, then a new stream from the last committed word
    COOL_OFF = "cool_off"  # too much: end the session, send nothing twice; single requests for the cool-off's seconds
    REMODEL = "remodel"  # the language lacks the model: log it once, and use the default one
    MISCONFIGURED = "misconfigured"  # the same request can never succeed: no new stream until a correction
    LOCAL = "local"  # this process ended it


NO_STREAM_FREE: Final = "no_stream_free"
"""The reason when this process holds as many streams as it may."""


class ErrorRow(NamedTuple):
    code: grpc.StatusCode
    text: str  # part of the message, lower case; "" matches any
    reason: str  # a short stable word, for metrics and logs
    next: Next


_C = grpc.StatusCode
TABLE: Final[tuple[ErrorRow, ...]] = (
    ErrorRow(_C.OUT_OF_RANGE, "305 seconds", "stream_limit", Next.ROTATE),
    ErrorRow(_C.OUT_OF_RANGE, "maximum allowed stream duration", "stream_limit", Next.ROTATE),
    ErrorRow(_C.ABORTED, "max duration", "stream_limit", Next.ROTATE),
    ErrorRow(_C.OUT_OF_RANGE, "audio timeout", "no_audio", Next.REOPEN),
    ErrorRow(_C.OUT_OF_RANGE, "without audio", "no_audio", Next.REOPEN),
    ErrorRow(_C.ABORTED, "no more client requests", "no_audio", Next.REOPEN),
    ErrorRow(_C.OUT_OF_RANGE, "too fast", "pacing", Next.COOL_OFF),
    ErrorRow(_C.OUT_OF_RANGE, "", "out_of_range", Next.REPLAY),
    ErrorRow(_C.ABORTED, "", "aborted", Next.REPLAY),
    ErrorRow(_C.UNAVAILABLE, "invalid_grant", "unauthenticated", Next.MISCONFIGURED),  # a key that was revoked
    ErrorRow(_C.UNAVAILABLE, "invalid_client", "unauthenticated", Next.MISCONFIGURED),
    ErrorRow(_C.UNAVAILABLE, "", "unavailable", Next.REPLAY),
    ErrorRow(_C.INTERNAL, "", "internal", Next.REPLAY),
    ErrorRow(_C.UNKNOWN, "", "unknown", Next.REPLAY),
    ErrorRow(_C.DEADLINE_EXCEEDED, "", "deadline", Next.REPLAY),
    ErrorRow(_C.RESOURCE_EXHAUSTED, "message larger than max", "too_large", Next.REPLAY),  # gRPC's, in this process
    ErrorRow(_C.RESOURCE_EXHAUSTED, "", "quota", Next.COOL_OFF),
    ErrorRow(_C.INVALID_ARGUMENT, "not supported for language", "model", Next.REMODEL),
    ErrorRow(_C.INVALID_ARGUMENT, "", "invalid_argument", Next.MISCONFIGURED),
    ErrorRow(_C.FAILED_PRECONDITION, "", "failed_precondition", Next.MISCONFIGURED),
    ErrorRow(_C.PERMISSION_DENIED, "", "permission_denied", Next.MISCONFIGURED),
    ErrorRow(_C.UNAUTHENTICATED, "", "unauthenticated", Next.MISCONFIGURED),
    ErrorRow(_C.NOT_FOUND, "", "not_found", Next.MISCONFIGURED),
    ErrorRow(_C.UNIMPLEMENTED, "", "unimplemented", Next.MISCONFIGURED),
    ErrorRow(_C.CANCELLED, "", "cancelled", Next.REPLAY),
)
_OTHERWISE: Final = ErrorRow(_C.UNKNOWN, "", "unknown", Next.REPLAY)


class SpeechError(UpstreamError):
    """Google ended a request or a stream. `next` is what becomes of the stream, `code` gRPC's word for it.

    `info` is Google's own word for its refusal, where it sent one.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        next_step: Next,
        code: str = "CANCELLED",
        info: ErrorInfo | None = None,
    ) -> None:
        retryable = next_step not in {Next.MISCONFIGURED, Next.REMODEL, Next.LOCAL}
        super().__init__(message, reason=reason, retryable=retryable, remedy=remedy_of(reason, message, info))
        self.next = next_step
        self.code = code
        self.info = info

    @property
    def is_local(self) -> bool:
        """Whether the fault is in this process and not at Google, so that it does not count against Google."""
        return self.reason == NO_STREAM_FREE or self.next is Next.LOCAL


def classify(code: grpc.StatusCode, text: str) -> ErrorRow:
    """Find the row of the table for a status."""
    lowered = text.lower()
    for row in TABLE:
        if row.code is code and row.text in lowered:
            return row
    return _OTHERWISE


def ended(code: grpc.StatusCode, text: str, info: ErrorInfo | None = None) -> SpeechError:
    """Return the error for a status, wherever it came from."""
    row = classify(code, text)
    return SpeechError(f"{code.name}: {text}", reason=row.reason, next_step=row.next, code=code.name, info=info)


def translate(error: BaseException) -> SpeechError:
    """Turn what the client library raised into a `SpeechError`.

    Google's messages name limits, models and languages, never a caller's words, so they may be logged.
    """
    if isinstance(error, SpeechError):
        return error
    if isinstance(error, TimeoutError):
        return SpeechError(
            "no answer in time", reason="deadline", next_step=Next.REPLAY, code=_C.DEADLINE_EXCEEDED.name
        )
    if isinstance(error, exceptions.GoogleAPICallError):
        info = ErrorInfo(error.reason, error.domain or "", dict(error.metadata or {})) if error.reason else None
        return ended(error.grpc_status_code or _C.UNKNOWN, error.message or "", info)
    if isinstance(error, grpc.aio.AioRpcError):  # streams are read without the client library's wrapper
        return ended(error.code(), error.details() or "", of_trailers(error.trailing_metadata()))
    text = f"{type(error).__name__} in the client library"
    return SpeechError(text, reason="client", next_step=Next.REPLAY, code=_C.UNKNOWN.name)
