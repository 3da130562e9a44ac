"""The stream secret: proof that a media stream comes from TwiML of the user's own.

The user writes it into that TwiML as a `<Parameter>`, and `start` brings it back. It is one constant for all calls, and
names none of them: a reader of the TwiML knows it for good.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

SECRET_PARAMETER: Final = "secret"  # noqa: S105 - a name, not a secret

SHORTEST: Final = 20
"""Characters of a secret, at least: 80 bits where each is a hexadecimal digit."""
LONGEST: Final = 480
"""Characters of a secret, at most: Twilio takes fewer than 500 of a parameter's name and value together."""


def is_secret(secrets: Sequence[str], given: str) -> bool:
    """Return whether any of `secrets` (several while one is being rotated) is the given one; false without secrets.

    All of them are compared, as digests of one length, so that the time tells nothing about them.
    """
    digest, known = _digest(given), False
    for secret in secrets:
        known |= hmac.compare_digest(_digest(secret), digest)
    return known


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
