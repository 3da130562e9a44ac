"""Requests at once, shared fairly: a client that asks much does not keep those waiting that ask little."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """A number of slots. One alone may have all of them; as soon as several wait, the one with the fewest is next."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, who: str) -> AsyncIterator[None]:
        """Hold a slot for `who`, and wait for one before. Cancelling it loses nothing."""
        await self._take(who)
        try:
            yield
        finally:
            self._give_back(who)

    async def _take(self, who: str) -> None:
        if self._free and not self._waiting:
            self._hold(who)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(who, turn)
            else:  # it had its turn in the same moment
                self._give_back(who)
            raise

    def _hold(self, who: str) -> None:
        self._free -= 1
        self._held[who] += 1

    def _give_back(self, who: str) -> None:
        self._free += 1
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
        while self._free and self._waiting:
            following = min(self._waiting, key=lambda each: self._held[each])
            turn = self._waiting[following][0]
            self._leave(following, turn)
            if not turn.done():
                self._hold(following)
                turn.set_result(None)

    def _leave(self, who: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(who, deque())
        if turn in waiting:
            waiting.remove(turn)
            if waiting:
                self._waiting.move_to_end(who)
            else:
                del self._waiting[who]
