"""The breaker of a recognizer: it stops the process from asking one that fails, and probes when it may ask again.

One breaker for each step of the failure order, shared by all calls: what the tenth call has learned, the eleventh need
not pay for. Closed: every call may ask. Open: none, until the rest is over. Half open: one call asks for all, and its
result closes the breaker or opens it for twice as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

_NEVER: Final = float("-inf")


class BreakerState(StrEnum):
    """Whether the step is asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class StepFailure(NamedTuple):
    """The reason of a failure."""

    reason: str
    """A short stable word, for metrics."""
    said: str = ""
    """The step's own words."""
    remedy: str = ""
    """A sentence that says what to do; empty where waiting is all there is to do."""


OnChange = Callable[["Breaker"], None]


class Breaker:
    """One per step and process. `now` is in seconds of one clock, as are all arguments.

    `failures` of them `within` so many seconds, no success between, open it for `rest`; each probe that fails doubles
    that, up to `longest`. A probe that has no verdict after `patience` (its call was hung up) is given to the next.
    """

    __slots__ = (
        "_failed",
        "_failures",
        "_grave",
        "_longest",
        "_patience",
        "_probe_at",
        "_reason",
        "_remedy",
        "_rest",
        "_said",
        "_shortest",
        "_since",
        "_state",
        "_within",
        "on_change",
    )

    def __init__(
        self,
        *,
        failures: int = 5,
        within: float = 30.0,
        rest: float = 10.0,
        longest: float = 120.0,
        patience: float = 15.0,
    ) -> None:
        self._failures = failures
        self._within = within
        self._shortest = self._rest = rest
        self._longest = longest
        self._patience = patience
        self._failed: deque[float] = deque(maxlen=failures)
        self._state = BreakerState.CLOSED
        self._reason = self._said = self._remedy = ""
        self._grave = False
        self._since: float | None = None
        self._probe_at = _NEVER
        self.on_change: OnChange | None = None
        """Called after each transition, and when an open breaker gets a grave reason."""

    @property
    def state(self) -> BreakerState:
        """The state. An open breaker stays OPEN until a call asks after the rest is over."""
        return self._state

    @property
    def reason(self) -> str:
        """The reason of the failure that opened it; "" while closed."""
        return self._reason

    @property
    def said(self) -> str:
        """The step's own words with that failure; "" while closed."""
        return self._said

    @property
    def remedy(self) -> str:
        """The sentence that says what to do about it; "" while closed, or where waiting is all there is to do."""
        return self._remedy

    @property
    def grave(self) -> bool:
        """Whether it is not closed for a reason that no retry mends: credentials, configuration."""
        return self._grave

    @property
    def since(self) -> float | None:
        """`now` of the last change; None if there was none."""
        return self._since

    @property
    def retry_at(self) -> float | None:
        """`now` from which the next asker gets a probe; None while closed."""
        if self._state is BreakerState.CLOSED or self._since is None:
            return None
        return self._since + self._rest if self._state is BreakerState.OPEN else self._probe_at + self._patience

    def would_allow(self, now: float) -> bool:
        """Whether `allows` would say so now. Takes no probe."""
        return self._state is BreakerState.CLOSED or (self.retry_at is not None and now >= self.retry_at)

    def allows(self, now: float) -> bool:
        """Whether the step may be asked now. A True that is not from CLOSED is the probe: report how it went."""
        if not self.would_allow(now):
            return False
        if self._state is BreakerState.CLOSED:
            return True
        self._probe_at = now
        if self._state is BreakerState.OPEN:
            self._become(BreakerState.HALF_OPEN, now)
        return True

    def succeed(self, now: float) -> None:
        """The step answered: what was is forgiven."""
        self._failed.clear()
        self._rest = self._shortest
        self._reason, self._grave = "", False
        self._said = self._remedy = ""
        if self._state is not BreakerState.CLOSED:
            self._become(BreakerState.CLOSED, now)

    def fail(self, now: float, failure: StepFailure | str, *, grave: bool = False) -> None:
        """The step failed: why, or the bare reason; `grave` where asking again cannot help."""
        failure = StepFailure(failure) if isinstance(failure, str) else failure
        match self._state:
            case BreakerState.HALF_OPEN:
                self._rest = min(2 * self._rest, self._longest)
                self._open(now, failure, grave=grave)
            case BreakerState.OPEN:  # asked before it opened; only news may change anything, or rest would never end
                if grave and not self._grave:
                    self._open(now, failure, grave=True)
                elif grave:
                    self._reason, self._said, self._remedy = failure
            case BreakerState.CLOSED:
                self._failed.append(now)
                if grave or (len(self._failed) == self._failures and now - self._failed[0] <= self._within):
                    self._open(now, failure, grave=grave)

    def _open(self, now: float, failure: StepFailure, *, grave: bool) -> None:
        self._failed.clear()
        self._reason, self._said, self._remedy = failure
        self._grave = grave
        self._become(BreakerState.OPEN, now)

    def _become(self, state: BreakerState, now: float) -> None:
        self._state, self._since = state, now
        if self.on_change is not None:
            self.on_change(self)
