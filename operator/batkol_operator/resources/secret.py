"""The bearer token of the pods' internal API, and the Secret with it.

The token is derived from the operator's key, so that the operator needs no right to read secrets.
"""

from __future__ import annotations

import base64
import hmac

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import owned_object


def api_token(key: bytes, *, namespace: str, name: str, uid: str) -> str:
    """Derive the token: hex HMAC-SHA256 over "namespace/name/uid". Another `uid`, another token."""
    return hmac.new(key, f"{namespace}/{name}/{uid}".encode(), "sha256").hexdigest()


def api_secret(agent: VoiceAgent, token: str) -> Manifest:
    """Return the Secret. `data`, not `stringData`: an apply notices changes by others in `data` only."""
    secret = owned_object(
        agent,
        "v1",
        "Secret",
        name=names.api_secret_name(agent.metadata.name),
        data={names.TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    )
    return {**secret, "type": "Opaque"}
