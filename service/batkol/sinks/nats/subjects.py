"""Subjects of events: `batkol.AGENT.TYPE` on JetStream, `batkol-live.AGENT.partial` for partials.

https://docs.nats.io/nats-concepts/subjects: tokens are divided by dots; `*` and `>` are wildcards, and white space
ends a subject. The type keeps its dots, which make the same hierarchy: `batkol.*.reply.>` are all events of replies.
Partials have another beginning, for a JetStream stream with the subject `batkol.>` stores whatever is published there.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NO_AGENT: Final = "-"


class Subjects:
    """The subjects under one prefix. Raises `ValueError`, a clause, for a prefix that is none."""

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("must be words of a-z, A-Z, 0-9, _ and -, with dots between them and no wildcards")
        self._prefix = prefix

    @property
    def stored(self) -> str:
        """All subjects of events on JetStream, as the stream that stores them must have them."""
        return f"{self._prefix}.>"

    @property
    def stream(self) -> str:
        """The name of the stream where the sink creates it: a name has no dots."""
        return self._prefix.replace(".", "_")

    def of(self, agent: str, kind: str) -> str:
        """Return the subject of events of a type on JetStream."""
        return f"{self._prefix}.{token(agent)}.{kind}"

    def live(self, agent: str, kind: str) -> str:
        """Return the subject of events of a type that are not stored."""
        return f"{self._prefix}-live.{token(agent)}.{kind}"


def token(agent: str) -> str:
    """Return an agent as one token: `%2E` for a dot and so on, as in URLs, and `-` for an agent without a name."""
    if not agent:
        return _NO_AGENT
    escaped = quote(agent, safe="").replace(".", "%2E").replace("~", "%7E")
    return "%2D" if escaped == _NO_AGENT else escaped
