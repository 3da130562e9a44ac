"""A double as a context, which stops it when it is left; with faults and records, as a control port has them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from batkol.simulators.fault_book import FaultBook, TimedFault


class DoubleStats(Protocol):
    """The records of a double since its start or its last reset."""

    def summary(self) -> dict[str, Any]:
        """Return totals and one record each, as plain JSON types."""
        ...


F = TypeVar("F", bound=TimedFault)
S = TypeVar("S", bound=DoubleStats)


class Double(ABC):
    """A double in this process."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    async def stop(self) -> None:
        """Close the port and end what is under way. A double that does not listen is stopped already."""


class FaultyDouble(Double, Generic[F, S]):
    """A double with faults that last, and with records. `clock` is in seconds, `stats` makes empty records."""

    def __init__(self, stats: Callable[[], S], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._empty = stats
        self._stats = stats()
        self._book = FaultBook[F]()

    def inject(self, *faults: F) -> None:
        """Put faults in force for streams and requests to come."""
        for fault in faults:
            self._book.inject(fault, self._clock())

    def clear(self) -> None:
        """End all faults for streams and requests to come."""
        self._book.clear()

    def reset(self) -> None:
        """End all faults and forget all records; streams and requests are counted from one again."""
        self._book.clear()
        self._stats = self._empty()

    def faults(self) -> list[F]:
        """Return the faults in force."""
        return self._book.faults(self._clock())

    def stats(self) -> dict[str, Any]:
        """Return totals and one record a stream or request, as plain JSON types."""
        return self._stats.summary()
