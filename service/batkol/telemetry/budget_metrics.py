"""Metrics of the budgets of calls: how near ended calls came to what their replies may use (REPLY_BUDGET)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from batkol.telemetry.instruments import Counts

SPENT: Final = "spent"
USED: Final = ("under_half", "over_half", "near", SPENT)
"""Shares of a budget that a call has used: to 50 %, to 80 %, below 100 %, and all of it: the budget ended the call."""


class BudgetCounts:
    """The counter of calls that had budgets, by how much of each they used."""

    def __init__(self, counts: Callable[[str, str, str], Counts]) -> None:
        self._calls = counts(
            "batkol.reply.budget.calls",
            "{call}",
            "Ended calls that had a budget (REPLY_BUDGET), by budget and by the share of it that they used.",
        )

    def begin_at_zero(self, budgets: Iterable[str]) -> None:
        """Show the series of these budgets before a call has used them."""
        for budget in budgets:
            for used in USED:
                self._calls.add(0, {"budget": budget, "used": used})

    def call_over(self, shares: Mapping[str, float]) -> None:
        """Count a call that is over, with the share of each of its budgets that it used."""
        for budget, share in shares.items():
            self._calls.add(1, {"budget": budget, "used": _used(share)})


def _used(share: float) -> str:
    for bound, used in ((0.5, "under_half"), (0.8, "over_half"), (1.0, "near")):
        if share < bound:
            return used
    return SPENT
