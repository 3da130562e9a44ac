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
    """Makes the headers of a webhook. Without a secret there is no signature among them; with several, one for each.

    "The webhook is signed both using the current key, and using an old key (for a set period of time)": so a secret is
    replaced while no receiver refuses a request.
    """

    def __init__(self, *secrets: str, now: Callable[[], float] = time.time) -> None:
        """Raises `ValueError` for a secret that is none."""
        self._keys = [key_of(secret) for secret in secrets if secret]
        self._now = now

    def headers(self, body: bytes, message_id: str = "") -> Mapping[str, str]:
        """Return the headers for a body; it has a new id if none is given.

        The timestamp is now. One that is sent again on a new connection keeps its headers; a later attempt has new
        ones with the same id ("the timestamp of the attempt is updated").
        """
        message_id = message_id or f"msg_{uuid.uuid4().hex}"
        stamp = str(int(self._now()))
        headers = {"webhook-id": message_id, "webhook-timestamp": stamp}
        if self._keys:
            content = f"{message_id}.{stamp}.".encode() + body
            headers["webhook-signature"] = " ".join(_signature(key, content) for key in self._keys)
        return headers


def _signature(key: bytes, content: bytes) -> str:
    return f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}"
