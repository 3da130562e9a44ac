"""Plug-ins on a bus and a line of one call, without a service around them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from batkol.events.bus import Bus
from batkol.plugins.contract import PluginLine
from batkol.plugins.plugins import Plugins
from batkol.plugins.timings import TIMINGS, PluginTimings
from batkol.supervision.tasks import Tasks

CALL: Final = "CA" + "0" * 32
"""The SID of the call that has a line."""


@dataclass
class RecordedLine:
    """The line of a call that notes what it is told, and on which thread."""

    orders: list[tuple[str, Any]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def _note(self, name: str, about: Any) -> None:
        self.orders.append((name, about))
        self.threads.add(threading.get_ident())

    async def say(self, text: str, *, interrupt: bool) -> str:
        self._note("say", (text, interrupt))
        return "RE1"

    async def play(self, audio: bytes) -> str:
        self._note("play", audio)
        return "RE2"

    async def clear(self) -> int:
        self._note("clear", None)
        return 320

    async def mark(self, name: str) -> None:
        self._note("mark", name)

    async def hangup(self) -> None:
        self._note("hangup", None)

    async def transfer(self, label: str) -> None:
        self._note("transfer", label)


@dataclass
class House:
    """A bus, a line of one call, and the plug-ins that run on them."""

    bus: Bus
    line: RecordedLine
    plugins: Plugins
    tasks: Tasks

    @property
    def state(self) -> str:
        (only,) = self.plugins.status()
        return only.state

    @property
    def failures(self) -> int:
        (only,) = self.plugins.status()
        return only.failures


@asynccontextmanager
async def house(*names: str, timings: PluginTimings = TIMINGS) -> AsyncIterator[House]:
    """Run these plug-ins; afterwards the bus is closed, and they are ended."""
    bus, line, tasks = Bus(), RecordedLine(), Tasks()

    def lines(call_sid: str) -> PluginLine | None:
        return line if call_sid == CALL else None

    async with AsyncExitStack() as stack:
        plugins = await Plugins.start(names, bus, lines, tasks, stack, timings=timings)
        stack.callback(bus.close)
        yield House(bus, line, plugins, tasks)
