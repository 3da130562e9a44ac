"""The tokens that one turn has cost, those of attempts that were thrown away among them. Pure."""

from __future__ import annotations

from batkol.answering.answerer import Usage


def total(*usages: Usage | None) -> Usage | None:
    """Return the sum; None where nothing is known."""
    known = [usage for usage in usages if usage is not None]
    if not known:
        return None
    return Usage(sum(each.prompt_tokens for each in known), sum(each.completion_tokens for each in known))


class WastedUsage:
    """The tokens of attempts without a sound, until a reply sounds."""

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum: Usage | None = None

    def add(self, usage: Usage | None) -> None:
        """Add what an attempt has cost, if its answerer says so."""
        self._sum = total(self._sum, usage)

    def take(self) -> Usage | None:
        """Return the sum, and begin again."""
        taken, self._sum = self._sum, None
        return taken
