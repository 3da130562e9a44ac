"""The history of a conversation: what the caller said, what the caller heard, and the tool calls in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from batkol.answering.answerer import HistoryMessage, Role, ToolResult

LONGEST: int = 200
"""Messages that are kept; the oldest go first."""
TURNS_WITH_TOOLS: Final = 8
"""Turns whose tool calls are kept, of those that have any; the oldest go first."""


_NEWEST: Final = 4  # entries whose replies may still call tools


class ToolsOfTurn(Protocol):
    """The tool calls of one turn. More may come while its reply is heard."""

    @property
    def results(self) -> tuple[ToolResult, ...]: ...


@dataclass(slots=True, eq=False)
class Entry:
    """One message; that of a reply changes while it is heard."""

    role: Role
    text: str
    tools: ToolsOfTurn | None = None

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The tool calls of its turn."""
        return () if self.tools is None else self.tools.results


class History:
    """The messages of one call, in order. An entry without a word and without tool calls is none of them."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add_caller(self, text: str) -> None:
        """Keep words that a reply has answered."""
        if text:
            self._add(Entry(Role.CALLER, text))

    def add_agent(self, tools: ToolsOfTurn | None = None) -> Entry:
        """Open the entry of a reply; `hear` writes it. `tools` are those of its turn."""
        return self._add(Entry(Role.AGENT, "", tools))

    @staticmethod
    def hear(entry: Entry, text: str) -> None:
        """Write what the caller heard of a reply."""
        entry.text = text

    @property
    def messages(self) -> tuple[HistoryMessage, ...]:
        """The messages, the oldest first."""
        self._forget_tools()
        return tuple(
            HistoryMessage(each.role, each.text, results)
            for each in self._entries
            if (results := each.results) or each.text
        )

    def _add(self, entry: Entry) -> Entry:
        self._entries.append(entry)
        del self._entries[:-LONGEST]
        return entry

    def _forget_tools(self) -> None:
        with_tools = [each for each in self._entries if each.results]
        for each in self._entries[:-_NEWEST]:
            if each not in with_tools[-TURNS_WITH_TOOLS:]:
                each.tools = None
