"""One reader of the fleet's feed: its positions, and the events that wait for it. Nothing here waits for the reader.

The pods' rings keep what a reader has missed, so one that is slow loses nothing here but its connection: it comes back
with its cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from batkol.fleet.blocks import Block
from batkol.fleet.merging import Merge

LARGEST: Final = 8 << 20
"""Bytes that wait for one reader before it is cut off."""


class FleetReader:
    """Made for each request. `wants` picks the events that it gets; the fleet's own come in any case."""

    def __init__(
        self, cursor: str | None = None, *, wants: Callable[[Block], bool] | None = None, largest: int = LARGEST
    ) -> None:
        """Raises `CursorError`."""
        self.merge = Merge(cursor)
        self.on_close: Callable[[], None] | None = None
        """Called once, when nothing more will come."""
        self.closed = False
        self.too_slow = False
        """Whether it was closed because too much waited for it."""
        self._wants = wants
        self._largest = largest
        self._waiting: list[bytes] = []
        self._size = 0
        self._more = asyncio.Event()

    def offer(self, boot: str, blocks: Iterable[Block], *, shared: bool) -> None:
        """Queue the events of a pod that are new to the reader."""
        if self._wants is not None:
            blocks = [block if self._wants(block) else block._replace(body=b"") for block in blocks]
        self._queue(self.merge.take(boot, blocks, shared=shared))

    def begin(self, kind: str, data: bytes) -> None:
        """Put an event of the fleet's own before all others: every pod was asked once."""
        self._waiting.insert(0, self.merge.settle(kind, data))
        self._more.set()

    def announce(self, kind: str, data: bytes) -> None:
        """Queue an event of the fleet's own."""
        self._queue([self.merge.announcement(kind, data)])

    def lose(self, boot: str, *, complete: bool) -> None:
        """A pod is gone."""
        if (gap := self.merge.lose(boot, complete=complete)) is not None:
            self._queue([gap])

    def close(self) -> None:
        """Nothing more will come. What waits may still be taken."""
        if self.closed:
            return
        self.closed = True
        self._more.set()
        if self.on_close is not None:
            self.on_close()

    def wake(self) -> None:
        """Wake the reader that waits in `some`, without events."""
        self._more.set()

    async def some(self) -> bytes:
        """Wait, and take everything there is; b"" if it was woken or closed. Cancelling it loses nothing."""
        if not self._waiting and not self.closed:
            self._more.clear()
            await self._more.wait()
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return taken

    def _queue(self, texts: Sequence[bytes]) -> None:
        if not texts or self.closed:
            return
        self._waiting.extend(texts)
        self._size += sum(map(len, texts))
        self._more.set()
        if self._size > self._largest:
            self.too_slow = True
            self.close()
