"""Words of the caller that no answerer was asked about: the next announcement answers them. Pure."""

from __future__ import annotations

from typing import Final

MOST_PASSED: Final = 20
"""Turns of the caller that are kept for the history while nothing answers them."""


class PassedWords:
    """The turns of one call that were passed over, in order."""

    __slots__ = ("_turns",)

    def __init__(self) -> None:
        self._turns: list[str] = []

    def add(self, text: str) -> None:
        """Take the words of a turn."""
        self._turns.append(text)
        del self._turns[:-MOST_PASSED]

    def correct(self, text: str) -> bool:
        """Replace the words of the newest turn; false if none waits any more."""
        if not self._turns:
            return False
        self._turns[-1] = text
        return True

    @property
    def text(self) -> str:
        """All of them."""
        return " ".join(self._turns)

    def take(self) -> str:
        """Return all of them, for the history, and forget them."""
        words = self.text
        self._turns.clear()
        return words
