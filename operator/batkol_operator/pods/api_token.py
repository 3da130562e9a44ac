"""The bearer token of an agent's internal API: derived, so that the operator needs no right to read secrets."""

from __future__ import annotations

import hmac


def api_token(key: bytes, *, namespace: str, name: str, uid: str) -> str:
    """Derive the token: hex HMAC-SHA256 over "namespace/name/uid". Another `uid`, another token."""
    return hmac.new(key, f"{namespace}/{name}/{uid}".encode(), "sha256").hexdigest()
