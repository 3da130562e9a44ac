"""A double as a context: leaving it stops the double."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


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
