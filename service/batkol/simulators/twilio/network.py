"""One way of a network between Twilio and the service: each message comes late, and none before an earlier one."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OneWay(Generic[T]):
    """Hands each message to `deliver`, `delay_s` and up to `jitter_s` more after it was sent, in their order.

    A message that is later than those behind it holds them up, as TCP does. Without delay and jitter it is handed over
    at once. Use it from the event loop.
    """

    def __init__(
        self, deliver: Callable[[T], None], *, delay_s: float = 0.0, jitter_s: float = 0.0, draw: random.Random
    ) -> None:
        self._deliver = deliver
        self._delay_s = delay_s
        self._jitter_s = jitter_s
        self._draw = draw
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[tuple[float, T]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def send(self, message: T) -> None:
        """Send a message."""
        if not (self._delay_s or self._jitter_s):
            self._deliver(message)
            return
        due = self._loop.time() + self._delay_s + self._draw.random() * self._jitter_s
        if self._under_way:
            due = max(due, self._under_way[-1][0])
        self._under_way.append((due, message))
        self._empty.clear()
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._arrive)

    async def delivered(self) -> None:
        """Wait until everything has been delivered. Cancelling it loses nothing."""
        await self._empty.wait()

    def close(self) -> None:
        """Lose what is under way."""
        self._under_way.clear()
        self._empty.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arrive(self) -> None:
        self._timer = None
        while self._under_way and self._under_way[0][0] <= self._loop.time():
            self._deliver(self._under_way.popleft()[1])
        if self._under_way:
            self._timer = self._loop.call_at(self._under_way[0][0], self._arrive)
        else:
            self._empty.set()
