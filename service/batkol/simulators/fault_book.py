"""The faults of a double that are in force: each for a number of streams or requests, for a time, or until the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class CountedFault(Protocol):
    """A fault, as far as it is kept here."""

    @property
    def times(self) -> int | None:
        """The number of streams or requests that it hits before it is over; None: no end."""
        ...


class NamingFault(CountedFault, Protocol):
    """A fault for the requests that contain a text."""

    @property
    def contains(self) -> str:
        """The text; empty: every request has it."""
        ...


class TimedFault(CountedFault, Protocol):
    """A fault that may end by itself."""

    @property
    def lasts_s(self) -> float | None:
        """Seconds after its injection in which it hits; None: no end."""
        ...


F = TypeVar("F", bound=TimedFault)
N = TypeVar("N", bound=NamingFault)


@dataclass(slots=True)
class _Rule(Generic[F]):
    fault: F
    until: float | None
    left: int | None


class FaultBook(Generic[F]):
    """All faults that befall a stream or request hit it. `now` is any monotonic clock."""

    def __init__(self) -> None:
        self._rules: list[_Rule[F]] = []

    def inject(self, fault: F, now: float) -> None:
        """Put a fault in force from now on."""
        self._rules.append(_Rule(fault, None if fault.lasts_s is None else now + fault.lasts_s, fault.times))

    def clear(self) -> None:
        """Nothing goes wrong any more for what is to come; what is under way keeps what has befallen it."""
        self._rules.clear()

    def faults(self, now: float) -> list[F]:
        """Return the faults still in force."""
        self._rules = [rule for rule in self._rules if (rule.until is None or now < rule.until) and rule.left != 0]
        return [rule.fault for rule in self._rules]

    def befall(self, befalls: Callable[[F], bool], now: float) -> tuple[F, ...]:
        """Return the faults for a stream or request that begins now, and count them as used."""
        self.faults(now)
        hit = [rule for rule in self._rules if befalls(rule.fault)]
        for rule in hit:
            rule.left = None if rule.left is None else rule.left - 1
        return tuple(rule.fault for rule in hit)


class FirstFaultBook(Generic[N]):
    """The first fault that is for a request hits it, and no other one does."""

    def __init__(self) -> None:
        self._left: list[tuple[N, int | None]] = []

    def inject(self, *faults: N) -> None:
        """Put faults in force, for requests that come from now on."""
        self._left += [(fault, fault.times) for fault in faults]

    def clear(self) -> None:
        """Requests to come are spared."""
        self._left.clear()

    def faults(self) -> list[N]:
        """Return the faults in force."""
        return [fault for fault, _ in self._left]

    def take(self, text: str) -> N | None:
        """Return the fault for a request with this text, and count it as used."""
        for at, (fault, left) in enumerate(self._left):
            if fault.contains in text:
                self._left[at] = fault, None if left is None else left - 1
                self._left = [each for each in self._left if each[1] != 0]
                return fault
        return None
