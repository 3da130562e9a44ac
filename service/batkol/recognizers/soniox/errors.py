"""Soniox's errors, translated once: a code first, its type and its text only to refine it.

Each row of `TABLE` is one class of end a session can come to, in the order they are tried. Codes are HTTP's: Soniox's
messages have them, and so has the answer to a handshake. Types and texts are Soniox's (soniox.com/docs, errors); they
are matched in lower case.
"""

from __future__ import annotations

import ssl
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus, WebSocketException

from batkol.recognizers.soniox.wire import SonioxResponse
from batkol.recognizers.streaming.errors import ErrorRow, Next, SpeechError, find_row

TABLE: Final[tuple[ErrorRow[int], ...]] = (
    ErrorRow(503, "cannot continue", "restart", Next.ROTATE),  # "Immediately start a new request"
    ErrorRow(413, "", "session_limit", Next.ROTATE),
    ErrorRow(400, "audio is too long", "session_limit", Next.ROTATE),
    ErrorRow(408, "", "no_audio", Next.REOPEN),
    ErrorRow(400, "no audio", "no_audio", Next.REOPEN),
    ErrorRow(400, "too much audio", "pacing", Next.COOL_OFF),
    ErrorRow(429, "rate limit", "rate_limit", Next.COOL_OFF),
    ErrorRow(429, "", "quota", Next.COOL_OFF),
    ErrorRow(402, "", "payment_required", Next.MISCONFIGURED),
    ErrorRow(401, "", "unauthenticated", Next.MISCONFIGURED),
    ErrorRow(403, "", "permission_denied", Next.MISCONFIGURED),
    ErrorRow(400, "model", "model", Next.MISCONFIGURED),
    ErrorRow(400, "", "invalid_argument", Next.MISCONFIGURED),
    ErrorRow(404, "", "not_found", Next.MISCONFIGURED),
    ErrorRow(500, "", "internal", Next.REPLAY),
    ErrorRow(502, "", "unavailable", Next.REPLAY),
    ErrorRow(503, "", "unavailable", Next.REPLAY),
    ErrorRow(504, "", "unavailable", Next.REPLAY),
)
_OTHERWISE: Final = ErrorRow(0, "", "unknown", Next.REPLAY)

CERTIFICATE: Final = "certificate"
"""The reason when the server's certificate is none that this machine trusts."""
PROXY: Final = "proxy"
"""The reason when the environment names a proxy that no WebSocket can go through, such as a SOCKS proxy."""
HALF_OPEN: Final = "half_open"
"""The reason when no ping is answered, though the socket is open."""

_LONGEST: Final = 600
"""Characters kept of Soniox's own words."""

TOO_LARGE: Final = "too_large"
"""The reason when a message is larger than any that Soniox has reason to send."""
_CLOSED, _DEADLINE, _UNREADABLE = "closed", "deadline", "unreadable"
_MESSAGE_TOO_BIG: Final = 1009  # the close code by which this side ends a connection (RFC 6455, 7.4.1)

REASONS: Final = tuple(
    dict.fromkeys(
        (
            *(row.reason for row in TABLE),
            *(CERTIFICATE, PROXY, HALF_OPEN, TOO_LARGE, _CLOSED, _DEADLINE, _UNREADABLE, _OTHERWISE.reason),
        )
    )
)
"""Every reason that an end can have here."""

REMEDIES: Final = {
    "quota": (
        "Soniox lets an account have 10 sessions at once: lower SONIOX_MAX_STREAMS so that all pods together stay "
        "below it, or ask for more in the Soniox Console."
    ),
    "rate_limit": "Soniox lets an account begin 100 sessions a minute: ask for more in the Soniox Console.",
    "payment_required": "Add funds, or raise the monthly budget, in the Soniox Console; nothing has to be restarted.",
    "unauthenticated": "Set SONIOX_API_KEY to a key of the Soniox Console, and restart the service.",
    "permission_denied": "Give the key in SONIOX_API_KEY the permission for real-time recognition, or set another.",
    "model": "Name a real-time model that Soniox has, such as stt-rt-v5, in SONIOX_MODELS and wherever the recognizer "
    "is named: STT_RECOGNIZER, the order, the flag `recognizer`.",
    "invalid_argument": "Soniox refuses the session's settings: check SONIOX_URL, the language and STT_PHRASES.",
    "not_found": "SONIOX_URL leads to no recognizer: its path is /transcribe-websocket.",
    CERTIFICATE: "Give the service the certificate authority of the server or proxy at SONIOX_URL (SSL_CERT_FILE).",
    PROXY: "Name an HTTP proxy in HTTPS_PROXY (http://host:port), or Soniox's host in NO_PROXY, and restart.",
}
"""Remedies for the person who set the account up, by reason; for any other reason waiting is all there is to do."""
_REACH: Final = (
    "Check that this machine reaches the host and port of SONIOX_URL (its spelling, DNS, firewall, NetworkPolicy, "
    "proxy); if it does, look at Soniox's status page."
)
"""The remedy where no connection came about."""


def classify(code: int, text: str) -> ErrorRow[int]:
    """Find the row of the table for a code, with its type and its text."""
    return find_row(TABLE, code, text) or _OTHERWISE


def ended(response: SonioxResponse, *, key: str) -> SpeechError:
    """Return the error of a message that has one. Its text never has a caller's words, and here never the key."""
    code, said = response.error_code or 0, f"{response.error_type or ''}: {response.error_message or ''}"
    if key:
        said = said.replace(key, "…")
    shown = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"  # a log line has it
    return _error(f"{code} {shown}", classify(code, said), f"soniox_{code}")


def refused(error: Exception) -> SpeechError:
    """Translate what opening a connection raised."""
    if isinstance(error, InvalidStatus):
        code = error.response.status_code
        return _error(f"the handshake was answered with {code}", classify(code, ""), f"http_{code}")
    if isinstance(error, TimeoutError):
        return _local("no connection to Soniox in time", _DEADLINE, remedy=_REACH)
    if isinstance(error, ssl.SSLCertVerificationError):
        row = ErrorRow(0, "", CERTIFICATE, Next.MISCONFIGURED)
        return _error(f"Soniox's certificate is refused: {error.verify_message}", row, "tls")
    if isinstance(error, (InvalidProxy, ImportError, ValueError)):  # whose text may have the proxy's password
        row = ErrorRow(0, "", PROXY, Next.MISCONFIGURED)
        return _error("the proxy that the environment names cannot be used for Soniox", row, PROXY)
    if isinstance(error, WebSocketException):
        return _local("the answer to the handshake was none of a WebSocket", "unavailable")
    return _local(f"Soniox cannot be reached: {type(error).__name__}", "unavailable", remedy=_REACH)


def closed(error: ConnectionClosed) -> SpeechError:
    """Translate the end of a connection on which Soniox said nothing about it."""
    if error.sent is not None and error.sent.code == _MESSAGE_TOO_BIG:
        return too_large()
    code = error.rcvd.code if error.rcvd is not None else 1006
    return _local(f"the connection to Soniox was closed ({code})", _CLOSED, f"close_{code}")


def half_open(after_s: float) -> SpeechError:
    """Return the error of a connection on which a ping was not answered."""
    return _local(f"Soniox answered no ping for {after_s:g} s", HALF_OPEN, HALF_OPEN)


def too_large() -> SpeechError:
    """Return the error of a message that is larger than this service reads."""
    return _local("Soniox sent a message that is larger than this service reads", TOO_LARGE)


def unreadable() -> SpeechError:
    """Return the error of a message that is none of Soniox's."""
    return _local("Soniox sent a message that is none of its protocol", _UNREADABLE)


def _local(text: str, reason: str, code: str = "", *, remedy: str = "") -> SpeechError:
    return SpeechError(text, reason=reason, next_step=Next.REPLAY, code=code or reason, remedy=remedy)


def _error(text: str, row: ErrorRow[int], code: str) -> SpeechError:
    return SpeechError(text, reason=row.reason, next_step=row.next, code=code, remedy=REMEDIES.get(row.reason, ""))
