"""Restarts of a task that died: the waits, and whether it keeps failing. Pure: the caller gives the time, in s."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from batkol.backoff import Backoff, Uniform

DEATHS: Final = 5
"""Deaths within `STEADY_S` after which a task counts as failing."""

STEADY_S: Final = 60.0
"""Seconds a task must live to be trusted again: what was before is forgiven then."""

FIRST_S: Final = 0.1
"""Seconds to the first restart; twice as many after each further death."""

LONGEST_S: Final = 30.0
"""Seconds between two attempts at most."""

LONGEST_HEARING_S: Final = 2.0
"""The same for a task that recognition needs: while it is down, the pod recognizes no call."""

_FAULTS: Final = 32  # different faults that are remembered, and so logged


class TaskState(StrEnum):
    """States of a background task."""

    IDLE = "idle"  # it has nothing to do: not started yet, or done
    RUNNING = "running"
    RESTARTING = "restarting"  # it died, and waits for its next attempt
    FAILING = "failing"  # it died again and again, and has not lived for a minute since


class Death(NamedTuple):
    """Consequences of a death."""

    again_in_s: float
    new: bool  # the fault was not seen since the task last lived for a minute
    fails: bool  # with this death the task has begun to fail


@dataclass(slots=True)
class Restarts:
    """The deaths of one task, and when it runs again."""

    longest_s: float = LONGEST_S
    uniform: Uniform = random.random
    deaths: int = 0
    """Since the start of the process."""
    fault: str = ""
    """The fault of the last death."""
    since: float = 0.0
    """Time of the task's last start, end or death."""
    doing: TaskState = TaskState.IDLE
    """Without regard to whether it fails."""
    _in_a_row: int = 0
    _failing: bool = False
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))
    _faults: set[str] = field(default_factory=set)

    def begin(self, now: float) -> None:
        """The task runs."""
        self.doing, self.since = TaskState.RUNNING, now

    def end(self, now: float) -> None:
        """The task has done its work."""
        self.doing, self.since = TaskState.IDLE, now

    def die(self, now: float, fault: str) -> Death:
        """Count a death; return when the task runs again."""
        if self.is_steady(now):
            self._forgive()
        before = self._failing
        self.deaths += 1
        self.fault = fault
        self._recent.append(now)
        self._failing = before or (len(self._recent) == DEATHS and now - self._recent[0] <= STEADY_S)
        self.doing, self.since = TaskState.RESTARTING, now
        wait_s = Backoff(FIRST_S, self.longest_s, uniform=self.uniform).wait_s(self._in_a_row)
        self._in_a_row += 1
        new = fault not in self._faults and len(self._faults) < _FAULTS
        if new:
            self._faults.add(fault)
        return Death(wait_s, new, self._failing and not before)

    def is_steady(self, now: float) -> bool:
        """Return whether it has not died for `STEADY_S`, and need not be started again."""
        return self.doing is not TaskState.RESTARTING and now - self.since >= STEADY_S

    def is_failing(self, now: float) -> bool:
        """Return whether it died five times in a minute, and has not lived for a minute since."""
        return self._failing and not self.is_steady(now)

    def state(self, now: float) -> TaskState:
        """Return what it does now."""
        return TaskState.FAILING if self.is_failing(now) else self.doing

    def _forgive(self) -> None:
        self._failing = False
        self._in_a_row = 0
        self._recent.clear()
        self._faults.clear()
