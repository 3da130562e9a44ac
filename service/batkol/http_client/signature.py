"""Signatures of webhooks, as Standard Webhooks has them: the receiver knows who sends, and when.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final

PREFIX: Final = "whsec_"
SHORTEST: Final = 24
LONGEST: Final = 64
"""Bytes of a secret."""


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret. Raises `ValueError`, a sentence that does not quote it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(
            f"must be {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64; create one with "
            f'`echo "{PREFIX}$(openssl rand -base64 32)"`'
        )
    return key


class WebhookSigner:
    """Makes the headers of a webhook. Without a secret there is no signature among them."""

    def __init__(self, secret: str = "", *, now: Callable[[], float] = time.time) -> None:
        """Raises `ValueError` for a secret that is none."""
        self._key = key_of(secret) if secret else b""
        self._now = now

    def headers(self, body: bytes, message_id: str = "") -> Mapping[str, str]:
        """Return the headers for a body; it has a new id if none is given. One that is sent again keeps its headers."""
        message_id = message_id or f"msg_{uuid.uuid4().hex}"
        stamp = str(int(self._now()))
        headers = {"webhook-id": message_id, "webhook-timestamp": stamp}
        if self._key:
            signed = hmac.digest(self._key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256)
            headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        return headers
