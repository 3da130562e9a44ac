"""The history of a conversation: what the caller said, and what the caller heard."""

from __future__ import annotations

from batkol.answering.answerer import HistoryMessage, Role

LONGEST: int = 200
"""Messages that are kept; the oldest go first."""


class History:
    """The messages of one call, in order. An entry without a word is none of them."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[list[str]] = []  # role and text; a reply's entry changes while it is heard

    def add_caller(self, text: str) -> None:
        """Keep words that a reply has answered."""
        if text:
            self._add(Role.CALLER, text)

    def add_agent(self) -> list[str]:
        """Open the entry of a reply; `hear` writes it."""
        return self._add(Role.AGENT, "")

    @staticmethod
    def hear(entry: list[str], text: str) -> None:
        """Write what the caller heard of a reply."""
        entry[1] = text

    @property
    def messages(self) -> tuple[HistoryMessage, ...]:
        """The messages, the oldest first."""
        return tuple(HistoryMessage(Role(role), text) for role, text in self._entries if text)

    def _add(self, role: Role, text: str) -> list[str]:
        entry = [role.value, text]
        self._entries.append(entry)
        del self._entries[:-LONGEST]
        return entry
