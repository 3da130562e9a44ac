"""All plug-ins of a process: their start and end, and the watch that names the one that holds up the calls.

A thread that computes takes the interpreter from the event loop of the calls, for `SWITCH_S` at a time, and longer in
native code that keeps it. That cannot be prevented in one process, so it is measured.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final, Self

from batkol.events.bus import Bus
from batkol.plugins.contract import Lines
from batkol.plugins.installed import installed
from batkol.plugins.plugin import Plugin
from batkol.plugins.timings import TIMINGS, PluginTimings
from batkol.status import PluginStatus
from batkol.supervision.tasks import Tasks

SWITCH_S: Final = 0.0005
"""Seconds for which a thread that computes keeps the interpreter from another one, where there are plug-ins: a tenth of
Python's default (ADR 0028)."""

_SHARE: Final = 0.5  # of a stall that a plug-in must have computed to be named


class Plugins:
    """The plug-ins that the settings name."""

    def __init__(self, plugins: Sequence[Plugin] = (), timings: PluginTimings = TIMINGS) -> None:
        self._plugins = plugins
        self._timings = timings

    @classmethod
    async def start(
        cls,
        names: Sequence[str],
        bus: Bus,
        lines: Lines,
        tasks: Tasks,
        stack: AsyncExitStack,
        *,
        timings: PluginTimings = TIMINGS,
    ) -> Self:
        """Start the plug-ins, each on a thread of its own; `stack` ends them all at once.

        Returns before any of their code is imported. Raises `ConfigurationError` for one that is not installed.
        """
        found = await asyncio.to_thread(installed, names)
        plugins = cls([Plugin(each, bus, lines, tasks, timings) for each in found], timings)
        stack.push_async_callback(plugins.stop)
        for plugin in plugins._plugins:
            plugin.task.start()
        await asyncio.sleep(0)  # they subscribe: no event from now on is missed
        if found:
            stack.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(SWITCH_S)
            await tasks.own(stack, plugins.watch, "plugins")
        return plugins

    async def stop(self) -> None:
        """End the plug-ins; those whose threads hang are left behind.

        The bus is closed: who follows it takes what waits and returns, and has `finish` seconds for that.
        """
        if self._plugins:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timings.finish):
                    await asyncio.gather(*(plugin.task.join() for plugin in self._plugins))
        await asyncio.gather(*(plugin.task.stop() for plugin in self._plugins))

    @property
    def left_behind(self) -> list[str]:
        """Names of plug-ins whose threads hung when they were to end."""
        return [plugin.name for plugin in self._plugins if plugin.left_behind]

    def status(self) -> tuple[PluginStatus, ...]:
        """The part of `/v1/status`."""
        return tuple(plugin.status() for plugin in self._plugins)

    async def watch(self) -> None:
        """Look at them, and at how late the event loop is, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._timings.look, loop.time())
            await asyncio.sleep(due - loop.time())
            now = loop.time()
            self.look(now, late_s=now - due)

    def look(self, now: float, *, late_s: float) -> None:
        """Look once: a plug-in that computed for half of a stall is named."""
        for plugin in self._plugins:
            computed_s = plugin.computed_s()
            if late_s >= self._timings.stall and computed_s >= _SHARE * late_s:
                plugin.blame(late_s=late_s, computed_s=computed_s)
            plugin.look(now)
