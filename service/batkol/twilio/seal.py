"""Seals: proof, keyed by the auth token, that a pod of this service wrote something. Nothing is stored.

The parties that have the auth token can make them: Twilio, and every pod of the account.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def seal(auth_token: str, claim: bytes, purpose: bytes) -> bytes:
    """Return the seal of a claim. One that was made for another purpose is none."""
    # A key of its own for each purpose: the auth token also signs webhooks (HKDF's idea, RFC 5869).
    key = hmac.digest(auth_token.encode(), purpose, hashlib.sha256)
    return hmac.digest(key, claim, hashlib.sha256)


def is_seal(auth_tokens: Sequence[str], claim: bytes, purpose: bytes, given: str) -> bool:
    """Whether this, in hexadecimal, is the seal that any of the auth tokens makes of the claim."""
    text, genuine = given.encode("utf-8", "replace"), False
    for token in auth_tokens:
        genuine |= hmac.compare_digest(seal(token, claim, purpose).hex().encode(), text)
    return genuine
