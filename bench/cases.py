"""Cases of the benchmark, and the start of each server."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PEERS_PYTHON: Final = HERE.parent / ".venv-peers" / "bin" / "python"
NAIVE_CALLS: Final = (10, 20)
PIPECAT_CALLS: Final = (5, 8)
"""Calls that each server carries on one core of a slow machine without falling behind."""
TURNS: Final = 3
"""Times that the cases which a limit compares most closely are measured, by turns: a shared machine changes
its speed.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One server at one number of calls. `{port}` and `{endpoint}` in `command` are filled in at the start."""

    name: str
    kind: str
    calls: int
    command: tuple[str, ...]
    stores: bool = False  # in Postgres, and 500 finals a second more than its calls say
    traced: bool = False  # spans and metrics go to a collector, all of them
    turns: int = 1

    @property
    def slug(self) -> str:
        return f"{self.name}-{self.calls}".replace("+", "-").replace(" ", "-")


def cases(calls: list[int]) -> list[Case]:
    """Return all cases, the cheapest servers first."""
    python, servers = sys.executable, HERE / "servers"
    floor = (python, str(servers / "floor.py"), "--port", "{port}")
    naive = (python, str(servers / "naive.py"), "--port", "{port}", "--endpoint", "{endpoint}")
    pipecat = (str(PEERS_PYTHON), str(servers / "pipecat_server.py"), "--port", "{port}", "--endpoint", "{endpoint}")
    middle = sorted(calls)[len(calls) // 2]
    few = min(calls)
    turns = {few: TURNS}
    found = [Case("floor", "floor", count, floor, turns=turns.get(count, 1)) for count in calls]
    found.append(Case("floor asyncio", "floor", middle, (*floor, "--loop", "asyncio")))
    serve = (python, "-m", "batkol", "serve")
    found += [Case("batkol", "batkol", count, serve, traced=True, turns=turns.get(count, 1)) for count in calls]
    found.append(Case("batkol untraced", "batkol", middle, serve))
    storing = (python, str(servers / "storing.py"))
    found.append(Case("batkol storing", "batkol", middle, storing, traced=True, stores=True))
    found += [Case("naive", "naive", count, naive, turns=turns.get(count, 1)) for count in NAIVE_CALLS]
    if PEERS_PYTHON.exists():
        turns = {max(PIPECAT_CALLS): TURNS}  # where it is cheapest
        found += [
            Case("pipecat+silero", "pipecat", count, pipecat, turns=turns.get(count, 1)) for count in PIPECAT_CALLS
        ]
    return found
