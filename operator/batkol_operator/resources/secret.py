"""The Secret with the bearer token of the pods' internal API."""

from __future__ import annotations

import base64

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.objects import child


def api_secret(agent: VoiceAgent, token: str) -> Manifest:
    """Return the Secret. `data` and not `stringData`: only of `data` can an apply see that somebody changed it."""
    secret = child(
        agent,
        "v1",
        "Secret",
        name=names.api_secret_name(agent.metadata.name),
        data={names.TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    )
    return {**secret, "type": "Opaque"}
