"""The pods that are asked, and the query of a request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeAlias

Scope: TypeAlias = Literal["pod", "fleet"]
"""`pod`: the one that answers. `fleet`: all pods of its VoiceAgent, whichever answers."""


def query(scope: Scope, **fields: str | Collection[str]) -> dict[str, str | list[str]]:
    """Return the query. What is empty, and the service's own default, is left out."""
    given = {"scope": scope, **fields} if scope == "fleet" else fields
    return {name: value if isinstance(value, str) else list(value) for name, value in given.items() if value}


def names(given: Collection[str]) -> frozenset[str]:
    """Return the names of types; one name may stand alone."""
    return frozenset((given,) if isinstance(given, str) else given)
