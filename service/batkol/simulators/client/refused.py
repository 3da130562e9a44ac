"""Servers behind the agent that refuse the service, by its status: a sentence each, for who placed the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batkol.status import ServiceStatus

_REFUSED: Final = "refused"


def refusals(state: ServiceStatus) -> Sequence[str]:
    """Return a sentence or two for each: who refuses the service, its answer, and what to do."""
    return [
        f"The {kind} `{name}` refuses the service: {server.said.rstrip('.')}. {server.remedy}".rstrip()
        for kind, servers in (("answerer", state.agent.answerers), ("voice", state.agent.voices))
        for name, server in servers.items()
        if server.state == _REFUSED
    ]
