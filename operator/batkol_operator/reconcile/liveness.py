"""Liveness of the operator: the liveness probe fails when its loops make no progress.

There are two kinds of no progress. A pass hangs, or its loop died: then the next pass does not begin in time. Or no
pass has succeeded for long, for any agent, as with expired credentials: then only a restart may help. An agent that the
API server refuses is neither: its pass counts as done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batkol_operator.quantity import quantity
from batkol_operator.watch.cache import AgentKey

OVERDUE_S: Final = 120.0
"""Seconds that a pass may be late. Each request takes at most 10 s; with a thousand agents they wait for each other.
"""

WITHOUT_SUCCESS_S: Final = 600.0
"""Seconds without a successful pass until a restart is due. Longer than an API server's restart or upgrade, which a
restart of the operator would not end."""


@dataclass(slots=True)
class _Loop:
    due_at: float
    failing: bool = False


class LoopWatchdog:
    """The progress of all loops. `now` is the event loop's clock, in seconds."""

    def __init__(self) -> None:
        self._loops: dict[AgentKey, _Loop] = {}
        self._last_success_at: float | None = None

    def pass_began(self, agent: AgentKey, now: float) -> None:
        """Record that a pass began; it is overdue after `OVERDUE_S`."""
        self._loops.setdefault(agent, _Loop(now)).due_at = now

    def pass_ended(self, agent: AgentKey, now: float, *, next_in: float, worked: bool) -> None:
        """Record that a pass ended, and that the next one begins in `next_in` seconds at the latest."""
        self._loops[agent] = _Loop(now + next_in, failing=not worked)
        if worked or self._last_success_at is None:
            self._last_success_at = now

    def loop_stopped(self, agent: AgentKey) -> None:
        """Record that a loop ended as intended."""
        self._loops.pop(agent, None)

    def why_stuck(self, now: float) -> str | None:
        """Return why the operator should be restarted, or None."""
        overdue = [agent for agent, loop in self._loops.items() if now - loop.due_at > OVERDUE_S]
        if overdue:
            namespace, name = overdue[0]
            return f"{quantity(len(overdue), 'agent is', 'agents are')} overdue, the first is {namespace}/{name}"
        failing = sum(loop.failing for loop in self._loops.values())
        if failing and self._last_success_at is not None and now - self._last_success_at > WITHOUT_SUCCESS_S:
            since_s, who = now - self._last_success_at, quantity(failing, "agent fails", "agents fail")
            return f"no pass has succeeded for {since_s:.0f} s; {who}"
        return None
