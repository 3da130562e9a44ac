"""Dialogues: what the caller says, and what the agent must do then. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def pattern_in(text: str) -> re.Pattern[str] | None:
    """Return the regular expression that stands between two slashes; None for a plain text. Raises `re.error`."""
    between = len(text) > 2 and text.startswith("/") and text.endswith("/")
    return re.compile(text[1:-1], re.IGNORECASE) if between else None


@dataclass(frozen=True, slots=True)
class Wording:
    """Words that an answer has or has not: a text, or `/a regular expression/`."""

    text: str
    pattern: re.Pattern[str] | None
    line: int


@dataclass(frozen=True, slots=True)
class WantedCall:
    """A call of a tool that the agent must make. Arguments that are not named may be anything."""

    tool: str
    arguments: Mapping[str, Any]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Conditions that an answer must meet."""

    must: tuple[Wording, ...] = ()
    must_not: tuple[Wording, ...] = ()
    calls: tuple[WantedCall, ...] | None = None
    """In any order, and no others; None: whatever the agent calls is right."""
    max_ms: float | None = None
    """From the question to the first words."""
    max_words: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class DialogueTurn:
    """One turn: the caller's words, and the conditions on the answer."""

    caller: str
    agent: Expectation
    line: int


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One dialogue of a file."""

    name: str
    file: str
    turns: tuple[DialogueTurn, ...]
    tools: Mapping[str, str] = field(default_factory=dict)
    """Results of tools, by the name of the tool."""
    line: int = 1
