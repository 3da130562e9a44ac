"""The stream token: proof that the opener of a media stream has this service's TwiML, for this very call.

The signature of the handshake proves that Twilio dials; it does not name the call. So the TwiML carries a
token as a `<Parameter>`, and `start` brings it back together with the call SID. It is keyed by the auth
token, so any pod verifies what another one issued, and nothing is stored.

Layout, base64url without padding (72 bytes, 96 characters): expiry (unix seconds, 8 bytes) · SHA-256 of the
account and call SIDs (32) · HMAC-SHA256 over both (32).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from batkol.errors import ConfigurationError, PeerError
from batkol.twilio.seal import is_seal, seal

LIFETIME: Final = 120.0
"""Seconds from the TwiML to `start`. Twilio dials at once; the rest is for slow networks and clocks apart."""

_PURPOSE: Final = b"batkol stream token v1"
_TRACE: Final = b"batkol traceparent v1"
_BYTES: Final = 8 + 32 + 32


class TokenFault(StrEnum):
    """Reasons why a token was refused; short and stable, for metrics."""

    FORGED = "forged"
    OTHER_CALL = "other_call"
    EXPIRED = "expired"


class TokenError(PeerError):
    """The stream's token does not open this call. Close the socket with `close_code` before any sound is
    used.
    """

    def __init__(self, reason: TokenFault) -> None:
        super().__init__(f"The service refused the stream's token ({reason}) and closes the stream.", close_code=1008)
        self.reason = reason


def issue(tokens: Sequence[str], call_sid: str, account_sid: str, now: float, ttl: float = LIFETIME) -> str:
    """Return a token for one call, good until `now + ttl` (unix seconds), made with the first of the auth
    tokens.

    Raises `ConfigurationError` where there is none; in development pass a random key of the process.
    """
    if not tokens:
        raise ConfigurationError("A stream token needs a key: set TWILIO_AUTH_TOKEN.")
    claim = int(now + ttl).to_bytes(8, "big") + _binding(call_sid, account_sid)
    return base64.urlsafe_b64encode(claim + seal(tokens[0], claim, _PURPOSE)).decode()


def verify(tokens: Sequence[str], token: str, call_sid: str, account_sid: str, now: float) -> None:
    """Return if any auth token made this token for this call, and it is not past its expiry (unix seconds,
    `now`).

    Raises `TokenError` otherwise. The seal is looked at first: of a forged token nothing else is believed.
    """
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise TokenError(TokenFault.FORGED) from None
    if len(raw) != _BYTES:
        raise TokenError(TokenFault.FORGED)
    claim, given = raw[:40], raw[40:]
    genuine = False
    for key in tokens:
        genuine |= hmac.compare_digest(seal(key, claim, _PURPOSE), given)
    if not genuine:
        raise TokenError(TokenFault.FORGED)
    if not hmac.compare_digest(claim[8:], _binding(call_sid, account_sid)):
        raise TokenError(TokenFault.OTHER_CALL)
    if now > int.from_bytes(claim[:8], "big"):
        raise TokenError(TokenFault.EXPIRED)


def seal_trace(tokens: Sequence[str], call_sid: str, traceparent: str) -> str:
    """Return the seal, in hexadecimal, of a trace context that Twilio carries for one call."""
    return seal(tokens[0], _trace_claim(call_sid, traceparent), _TRACE).hex()


def is_trace_sealed(tokens: Sequence[str], call_sid: str, traceparent: str, given: str) -> bool:
    """Whether any auth token made this seal for this call."""
    return is_seal(tokens, _trace_claim(call_sid, traceparent), _TRACE, given)


def _trace_claim(call_sid: str, traceparent: str) -> bytes:
    return _binding(call_sid, "") + traceparent.encode("utf-8", "replace")


def _binding(call_sid: str, account_sid: str) -> bytes:
    # The length keeps "AB" + "C" from being "A" + "BC".
    account = account_sid.encode("utf-8", "replace")
    return hashlib.sha256(len(account).to_bytes(4, "big") + account + call_sid.encode("utf-8", "replace")).digest()
