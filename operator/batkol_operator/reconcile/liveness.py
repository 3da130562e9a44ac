"""Liveness of the operator: its loops make progress, or the liveness probe fails.

Two ways of getting nowhere. A pass hangs, or its loop has died: then it does not come back by the time it named. Or
nothing has worked for long, for every agent, as with credentials that went stale: then a restart is the one thing left
to try. An agent that the API server refuses is neither: that pass has done its work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batkol_operator.watch.cache import AgentKey

OVERDUE_S: Final = 120.0
"""A pass takes at most a time-out of 10 s for each of its requests; with a thousand agents they queue for each
other.
"""

BARREN_S: Final = 600.0
"""Longer than an API server's restart or upgrade: restarting the operator does not bring one back."""


@dataclass(slots=True)
class _Loop:
    back_by: float
    failing: bool = False


class LoopWatchdog:
    """Keeps the loops' promises. `now` is the event loop's clock, in seconds."""

    def __init__(self) -> None:
        self._loops: dict[AgentKey, _Loop] = {}
        self._worked_at: float | None = None

    def begins(self, agent: AgentKey, now: float) -> None:
        """A pass begins: it should end soon."""
        self._loops.setdefault(agent, _Loop(now)).back_by = now

    def ends(self, agent: AgentKey, now: float, *, next_in: float, worked: bool) -> None:
        """A pass has ended, and the next one begins in `next_in` seconds at the latest."""
        self._loops[agent] = _Loop(now + next_in, failing=not worked)
        if worked or self._worked_at is None:
            self._worked_at = now

    def stopped(self, agent: AgentKey) -> None:
        """The loop is over, as asked."""
        self._loops.pop(agent, None)

    def why_stuck(self, now: float) -> str | None:
        """Return why a restart is in order, or None."""
        overdue = [agent for agent, loop in self._loops.items() if now - loop.back_by > OVERDUE_S]
        if overdue:
            namespace, name = overdue[0]
            return f"{len(overdue)} agents are overdue, the first is {namespace}/{name}"
        failing = sum(loop.failing for loop in self._loops.values())
        if failing and self._worked_at is not None and now - self._worked_at > BARREN_S:
            return f"no pass has worked for {now - self._worked_at:.0f} s; {failing} agents fail"
        return None
