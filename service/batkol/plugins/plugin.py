"""One plug-in: one life after another, its state, and what went wrong in it."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Final

import structlog

from batkol.events.bus import Bus
from batkol.plugins.contract import Lines
from batkol.plugins.inside import Inside
from batkol.plugins.installed import Installed
from batkol.plugins.life import PluginLife
from batkol.plugins.timings import PluginTimings
from batkol.status import PluginStatus
from batkol.supervision.restarts import TaskState
from batkol.supervision.tasks import BackgroundTask, Tasks

_FAULTS: Final = 32  # different faults that are logged

log = structlog.get_logger()


class PluginState(StrEnum):
    """States of a plug-in."""

    LOADING = "loading"  # its code is being imported
    RUNNING = "running"
    BLOCKED = "blocked"  # its code has blocked its own thread, and gets no event meanwhile
    ENDED = "ended"  # its function returned
    RESTARTING = "restarting"  # it failed, and waits for its next start
    FAILING = "failing"  # it failed five times in a minute, and is still restarted


class Plugin:
    """A plug-in of this process. Made and used on the event loop of the calls."""

    def __init__(self, installed: Installed, bus: Bus, lines: Lines, tasks: Tasks, timings: PluginTimings) -> None:
        self.name = installed.name
        self._installed = installed
        self._bus = bus
        self._lines = lines
        self._timings = timings
        self._loop = asyncio.get_running_loop()
        self._life: PluginLife | None = None
        self._faults = 0  # other than the ends of lives, which the task counts
        self._fault = ""
        self._logged: set[str] = set()
        self._blocked = False
        self._cpu_s = 0.0  # of its thread, when the loop was last on time
        self.left_behind = False
        """Whether its thread hung when the service ended."""
        self.task: BackgroundTask = tasks.add(self.run, f"plugin.{self.name}", may_return=True)

    async def run(self) -> None:
        """Live once. Raises `PluginFailedError` if the code raised. Cancelling it ends the code or leaves it behind."""
        inside = Inside(self._bus, self._lines)
        life = self._life = PluginLife(self.name, self._installed.entry, inside, self._note)
        self._cpu_s = 0.0
        life.start()
        holding = asyncio.create_task(self._release_untaken(life, inside), name=f"plugin.{self.name}.held")
        try:
            await life.ended()
        finally:
            holding.cancel()
            inside.close()
            self.left_behind = not await life.stop(self._timings.ending)
            if self.left_behind:
                text = "[PLUGIN] plug-in did not end in time; the service ends without it"
                log.warning(text, plugin=self.name, waited_s=self._timings.ending)
            self._life = None

    def look(self, now: float) -> None:
        """Notice a plug-in that blocks its thread, and one that has stopped to; called a few times a second."""
        if self._life is None:
            return
        blocked = self._life.silent_s(now) >= self._timings.blocked
        self._life.ask(now)
        if blocked and not self._blocked:
            self._faults += 1
            self._fault = "its code blocks its thread"
            log.warning("[PLUGIN] plug-in blocks its thread; it gets no events, and calls go on", plugin=self.name)
        elif self._blocked and not blocked:
            log.info("[PLUGIN] plug-in gets events again", plugin=self.name)
        self._blocked = blocked

    def computed_s(self) -> float:
        """Return the CPU time that its code has used since this was last asked, in seconds."""
        used = 0.0 if self._life is None else self._life.cpu_s()
        since, self._cpu_s = max(0.0, used - self._cpu_s), used
        return since

    def blame(self, *, late_s: float, computed_s: float) -> None:
        """Note that the code computed while the event loop of the calls stood still."""
        self._faults += 1
        self._fault = "its code held up the event loop"
        log.error(
            "[PLUGIN] plug-in computed while the event loop stalled; every call was late",
            plugin=self.name,
            lag_ms=round(late_s * 1000),
            computed_ms=round(computed_s * 1000),
            remedy="move the work into another process",
        )

    def status(self) -> PluginStatus:
        """The entry of `/v1/status`."""
        restarts = self.task.restarts
        return PluginStatus(
            name=self.name,
            version=self._installed.version,
            state=self._state(),
            failures=restarts.deaths + self._faults,
            last_fault=self._fault or restarts.fault or None,
        )

    def _state(self) -> PluginState:
        match self.task.restarts.state(self._loop.time()):
            case TaskState.FAILING:
                return PluginState.FAILING
            case TaskState.RESTARTING:
                return PluginState.RESTARTING
            case TaskState.IDLE:
                return PluginState.ENDED
        if self._blocked:
            return PluginState.BLOCKED
        return PluginState.RUNNING if self._life is not None and self._life.begun.is_set() else PluginState.LOADING

    def _note(self, fault: str, frames: list[str]) -> None:
        """Note an error that the code left in one of its tasks."""
        self._faults += 1
        self._fault = fault
        if fault not in self._logged and len(self._logged) < _FAULTS:
            self._logged.add(fault)
            text = "[PLUGIN] a task of a plug-in failed; the plug-in goes on"
            log.error(text, plugin=self.name, fault=fault, frames=frames)

    async def _release_untaken(self, life: PluginLife, inside: Inside) -> None:
        await life.begun.wait()
        await asyncio.sleep(self._timings.held)
        inside.release_untaken()
