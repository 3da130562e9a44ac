"""Google's errors, translated once: a status code first, its text only to refine it.

Each row of `TABLE` is one class of end a stream can come to, in the order they are tried. The texts are Google's, as
users report them; they are matched in lower case and only where the code alone is ambiguous.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.api_core import exceptions

from batkol.google_api.error_info import ErrorInfo, of_trailers
from batkol.recognizers.google.remedies import remedy_of
from batkol.recognizers.streaming.errors import ErrorRow, Next, SpeechError, find_row

_C = grpc.StatusCode
TABLE: Final[tuple[ErrorRow[grpc.StatusCode], ...]] = (
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


class GoogleError(SpeechError):
    """Google ended a request or a stream. `info` is Google's own word for its refusal, where it sent one."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        next_step: Next,
        code: str = "CANCELLED",
        info: ErrorInfo | None = None,
    ) -> None:
        remedy = remedy_of(reason, message, info)
        super().__init__(message, reason=reason, next_step=next_step, code=code, remedy=remedy)
        self.info = info


def classify(code: grpc.StatusCode, text: str) -> ErrorRow[grpc.StatusCode]:
    """Find the row of the table for a status."""
    return find_row(TABLE, code, text) or _OTHERWISE


def ended(code: grpc.StatusCode, text: str, info: ErrorInfo | None = None) -> SpeechError:
    """Return the error for a status, wherever it came from."""
    row = classify(code, text)
    return GoogleError(f"{code.name}: {text}", reason=row.reason, next_step=row.next, code=code.name, info=info)


def too_large() -> SpeechError:
    """Return the error of a response that has more words than speech can have."""
    return ended(_C.RESOURCE_EXHAUSTED, "Message larger than max: more words than speech has")


def translate(error: BaseException) -> SpeechError:
    """Turn what the client library raised into a `SpeechError`.

    Google's messages name limits, models and languages, never a caller's words, so they may be logged.
    """
    if isinstance(error, SpeechError):
        return error
    if isinstance(error, TimeoutError):
        return GoogleError(
            "no answer in time", reason="deadline", next_step=Next.REPLAY, code=_C.DEADLINE_EXCEEDED.name
        )
    if isinstance(error, exceptions.GoogleAPICallError):
        info = ErrorInfo(error.reason, error.domain or "", dict(error.metadata or {})) if error.reason else None
        return ended(error.grpc_status_code or _C.UNKNOWN, error.message or "", info)
    if isinstance(error, grpc.aio.AioRpcError):  # streams are read without the client library's wrapper
        return ended(error.code(), error.details() or "", of_trailers(error.trailing_metadata()))
    text = f"{type(error).__name__} in the client library"
    return GoogleError(text, reason="client", next_step=Next.REPLAY, code=_C.UNKNOWN.name)
