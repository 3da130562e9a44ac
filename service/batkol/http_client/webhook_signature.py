"""Signatures of Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), for requests that the service sends.

The receiver takes `HMAC-SHA256` of `{webhook-id}.{webhook-timestamp}.{body}` with the shared secret and compares.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "whsec_"
_LEAST, _MOST = 24, 64  # bytes of a secret


def key_of(secret: str) -> bytes:
    """Return the key of a secret, as `whsec_` and base64. Raises `ValueError`, which quotes nothing of it."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError(f"is no secret of Standard Webhooks: {PREFIX} and base64") from None
    if not _LEAST <= len(key) <= _MOST:
        raise ValueError(f"has {len(key)} bytes; a secret of Standard Webhooks has {_LEAST} to {_MOST}")
    return key


def signed_headers(key: bytes, message_id: str, now: float, body: bytes) -> Mapping[str, str]:
    """Return the headers of a request; `now` in Unix seconds."""
    at = str(int(now))
    digest = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }  # fmt: skip
