"""HTTP's refusals as errors of the client: whose fault it is, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from batkol.answers import UNREADABLE
from batkol.client.errors import (
    BusyError,
    CallOverError,
    ClientError,
    ForbiddenError,
    NotAvailableError,
    RequestRefusedError,
    TokenRefusedError,
    UnexpectedAnswerError,
)

_SHOWN: Final = 400
"""Characters of what the service says of a refusal."""
_NO_ROUTE: Final = "Not Found"
"""The detail of a path that the service does not have, and not of a call."""
_KINDS: Final[Mapping[int, tuple[type[RequestRefusedError], str]]] = {
    401: (TokenRefusedError, "It wants one of the tokens in its API_TOKENS, or its API_TOKEN."),
    403: (
        ForbiddenError,
        "Without tokens it answers to IP addresses and localhost: name it so, or set its INTERNAL_HOSTS.",
    ),
    501: (NotAvailableError, "This service has no such function."),
}
"""The error of a status, and what is said if the service says nothing."""


class _Problem(msgspec.Struct):
    detail: str


def refusal(status: int, where: str, headers: Mapping[str, str], body: bytes, *, of_call: bool) -> ClientError:
    """Return the error for an answer that is no success. `where` is the URL as it may be shown."""
    detail = _detail(body)
    said = f"{where} answered {status}. {detail}".rstrip()
    match status:
        case 404 | 409 if of_call and (detail or status == 409):
            return CallOverError(said if detail else f"{said} The call is closing.", status=status)
        case 429 | 502 | 503 | 504 | 500:
            said = said if detail else f"{said} See the service's log, or that of the proxy before it."
            return BusyError(said, status=status, retry_after_s=_retry_after_s(headers))
        case 404 | 405 | 301 | 302 | 303 | 307 | 308:
            return UnexpectedAnswerError(
                f"{said} This is not Batkol's internal API (the public port, perhaps, or another path), or the "
                "service is older than this client."
            )
    kind, hint = _KINDS.get(status, (RequestRefusedError, "See the service's log."))
    return kind(said if detail else f"{said} {hint}", status=status)


def _detail(body: bytes) -> str:
    """Return what the service says, for people; empty if it says nothing, or is no JSON of the service."""
    try:
        detail = msgspec.json.decode(body, type=_Problem).detail
    except UNREADABLE:
        return ""
    if detail == _NO_ROUTE:
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in detail[:_SHOWN]).strip()


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return `Retry-After` in seconds from now (RFC 9110, 10.2.3), or None without one that can be read."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 10 else math.inf
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
