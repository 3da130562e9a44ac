"""The Secret with the bearer token of the pods' internal API."""

from __future__ import annotations

import base64

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import owned_object


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
