"""The heartbeat of all calls, and how late the event loop is with it."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from batkol.calls.lag import LoopLag
from batkol.calls.registry import CallRegistry
from batkol.telemetry.metrics import Metrics

HEARTBEAT_S: Final = 0.25

log = structlog.get_logger()


class Heartbeat:
    """One per process, for all calls of its registry."""

    def __init__(self, calls: CallRegistry, metrics: Metrics) -> None:
        self._calls = calls
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._lag = LoopLag()

    def loop_lag(self) -> float:
        """Return the worst lateness of the event loop in the last minute, in seconds."""
        return self._lag.worst(self._loop.time())

    async def run(self) -> None:
        """Give every call its heartbeat and measure how late the loop is. Runs until cancelled."""
        due = self._loop.time()
        stalled = False
        while True:
            due += HEARTBEAT_S
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            now = self._loop.time()
            late = max(0.0, now - due)
            self._measure(late, now)
            # After a stall the callers' sound still waits in the sockets: taken for a hold, each call would get
            # silence in the middle of a word. So that beat is left out, but never two in a row.
            stalled = late > HEARTBEAT_S and not stalled
            if late > HEARTBEAT_S:
                due = now
            if not stalled:
                self._beat(now)

    def _beat(self, now: float) -> None:
        for call in self._calls:
            try:
                call.heartbeat(now)
            except Exception:  # an exception in one heartbeat must not skip the other calls
                call.log.exception("[CALL] call ended by an internal error")
                call.end("error", close_code=1011)

    def _measure(self, late: float, now: float) -> None:
        self._metrics.loop_lag.record(late)
        if stalls := self._lag.record(late, now):
            figures = {"lag_ms": round(late * 1000), "stalls": stalls, "active_calls": self._calls.active}
            if len(self._calls):
                log.warning("[LOOP] event loop stalled; every call was late", **figures)
            else:  # as at a start, when modules are loaded
                log.info("[LOOP] event loop stalled while there was no call", **figures)
