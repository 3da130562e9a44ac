"""Errors of an OpenAI-compatible server, translated once: by HTTP status, refined by OpenAI's own code.

No text of the server's is shown: an error message may quote the key, the prompt or what a caller said. Codes are shown
if they are in the table. https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from batkol.answering.answerer import AnswererError
from batkol.answering.refusal import Refusal, StatusRefusals
from batkol.answers import UNREADABLE

_KEY: Final = Refusal("unauthorized", False, "The server refuses the API key; set a valid one.")
_QUOTA: Final = Refusal("quota", False, "The account has no credit left; add credit or raise its limit.")
_RATE: Final = Refusal("rate_limited", True, "The account sends too many requests or tokens; raise its limits.")
_MODEL: Final = Refusal("not_found", False, "The server has no such model or path; check the model and the URL.")
_LENGTH: Final = Refusal("too_large", False, "The prompt and the history are too long for the model; shorten them.")
_REQUEST: Final = Refusal("bad_request", False, "The server refuses the request; check what the model takes.")
_FILTER: Final = Refusal("content_filter", False, "The server's content filter withheld the answer.")
_SERVER: Final = Refusal("server_error", True, "The fault is the server's; the same request may succeed later.")
_REDIRECT: Final = Refusal("redirect", False, "The server sends clients elsewhere; set the URL that it names.")

_REFUSALS: Final = StatusRefusals(
    own={
        401: _KEY,
        402: _QUOTA,
        403: Refusal("forbidden", False, "The API key has no right to this model; grant it, or use another key."),
        404: _MODEL,
        405: _MODEL,
        408: _SERVER,
        409: _SERVER,
        413: _LENGTH,
        429: _RATE,
    },
    server=_SERVER,
    request=_REQUEST,
    redirect=_REDIRECT,
    success=_REQUEST,
)
_BY_CODE: Final[Mapping[str, Refusal]] = {
    "invalid_api_key": _KEY,
    "account_deactivated": _KEY,
    "insufficient_quota": _QUOTA,
    "billing_hard_limit_reached": _QUOTA,
    "rate_limit_exceeded": _RATE,
    "model_not_found": _MODEL,
    "context_length_exceeded": _LENGTH,
    "string_above_max_length": _LENGTH,
    "content_filter": _FILTER,
    "content_policy_violation": _FILTER,
    "unsupported_parameter": _REQUEST,
    "unsupported_value": _REQUEST,
    "unknown_parameter": _REQUEST,
    "invalid_request_error": _REQUEST,
    "server_error": _SERVER,
    "server_overloaded": _SERVER,
    "overloaded_error": _SERVER,
    "service_unavailable": _SERVER,
}


class _Error(msgspec.Struct):
    code: msgspec.Raw = msgspec.Raw(b"null")
    type: msgspec.Raw = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    error: _Error


def refused(who: str, status: int, body: bytes) -> AnswererError:
    """Return the error for an answer with a status that is no success; `body` may be anything."""
    words = _words(_error_in(body))
    found = _REFUSALS.of(status)
    code = next((word for word in words if word in _BY_CODE), "")
    if code and (400 <= status < 500):
        found = _BY_CODE[code]
    shown = f"HTTP {status} ({code})" if code else f"HTTP {status}"
    return found.error(who, shown)


def failed(who: str, error: bytes) -> AnswererError:
    """Return the error for an `error` that came inside a stream, as its JSON."""
    words = _words(_decoded(error))
    code = next((word for word in words if word in _BY_CODE), "")
    status = next((int(word) for word in words if word.isdecimal() and 400 <= int(word[:4]) < 600), 0)
    found = _BY_CODE[code] if code else _REFUSALS.of(status) if status else _SERVER
    shown = code or str(status or "no known code")
    return found.error(who, f"an error in mid-answer ({shown})")


def filtered(who: str) -> AnswererError:
    """Return the error for an answer that a content filter ended."""
    return _FILTER.error(who, "finish_reason content_filter")


def _error_in(body: bytes) -> _Error | None:
    try:
        return msgspec.json.decode(body, type=_Body).error
    except UNREADABLE:
        return None  # a proxy's page, say: the status alone decides


def _decoded(error: bytes) -> _Error | None:
    try:
        return msgspec.json.decode(error, type=_Error)
    except UNREADABLE:
        return None


def _words(error: _Error | None) -> tuple[str, ...]:
    """Return code and type; vLLM and routers write the HTTP status as code."""
    if error is None:
        return ()
    return tuple(bytes(raw).decode(errors="replace").strip('"') for raw in (error.code, error.type) if len(raw) < 60)
