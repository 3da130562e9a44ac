"""The attempts of one thing: the waits between them, and the time to give up. Pure: its user has the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batkol.backoff import Backoff
from batkol.client.errors import BusyError, ClientError

LONGEST_S: Final = 10.0
"""Seconds between two attempts, at most, unless the service asks for more."""
LONGEST_ASKED_S: Final = 120.0
"""Seconds that a service may ask for; more is not believed."""
SHORTEST_S: Final = 0.1
LONGEST_RETRY_S: Final = 30.0
"""Bounds of the first wait, which the service may set."""


@dataclass(slots=True)
class Course:
    """The attempts of one thing. Times are seconds of one clock."""

    give_up_s: float
    """Seconds for which it may fail before it is given up; 0: the first failure is the last."""
    first_s: float = 0.25
    _failures: int = 0
    _since: float | None = None
    """The time at which it began to fail."""

    def reached(self) -> None:
        """Take note that the service was reached: the time to give up begins anew with the next failure."""
        self._since = None

    def worked(self) -> None:
        """Take note that it works: what fails next is a first failure."""
        self._failures, self._since = 0, None

    def wait_s(self, error: ClientError, now: float) -> float:
        """Return how long to wait before the next attempt.

        Raises `error` itself if the next attempt would come after the time to give up.
        """
        self._since = now if self._since is None else self._since
        first_s = min(max(self.first_s, SHORTEST_S), LONGEST_RETRY_S)
        wait = Backoff(first_s, max(first_s, LONGEST_S)).wait_s(self._failures)
        if isinstance(error, BusyError) and error.retry_after_s is not None:
            wait = max(wait, min(error.retry_after_s, LONGEST_ASKED_S))
        if now + wait - self._since >= self.give_up_s:
            raise error
        self._failures += 1
        return wait
