"""The drain: no new call, live calls to their end or to the time limit; what is not done after it is cut off."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from batkol.calls.registry import CallRegistry
from batkol.status import DrainStatus

ENDING_S: Final = 10.0
"""Seconds that calls have, when the time is up, to deliver the utterance in hand: what a single request takes."""

PAUSE_S: Final = 5.0
"""Seconds before that in which a caller who is speaking may finish: a stream that ends in a pause loses no word."""

REDIAL_CHECK_S: Final = 0.05
"""Seconds between two looks at whether Twilio has asked about a call that ended here."""

HANDOVER_S: Final = 15.0
"""Seconds for which a process stays after the last call that it moved: the pod that has the call's next stream asks it
what was said so far."""

log = structlog.get_logger()


class Drain:
    """The drain of one process. The first `run` begins it; later ones wait for the same end."""

    def __init__(self, calls: CallRegistry, *, timeout_s: float, pause_s: float = PAUSE_S) -> None:
        self._calls = calls
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Drain, or wait for the drain that is under way; returns when no call is left.

        Takes at most the time limit, the pause and `ENDING_S`, counted from the first order. Cancelling it stops the
        waiting and nothing else.
        """
        if self._task is None or _failed(self._task):
            self._task = asyncio.create_task(self._empty(), name="drain")
        await asyncio.shield(self._task)

    def status(self) -> DrainStatus | None:
        """The drain's part of `/v1/status`; None while the pod accepts calls."""
        since = self._calls.draining_since
        if since is None:
            return None
        return DrainStatus(
            since=datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds"),
            timeout_s=self._timeout_s,
            calls_left=len(self._calls),
            done=self._task is not None and self._task.done(),
        )

    @property
    def longest_s(self) -> float:
        """Longest duration of a drain, in seconds."""
        return self._timeout_s + self._pause_s + ENDING_S

    async def close(self) -> None:
        """Wait for the drain, whatever ended it: the registry has ended the calls."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _empty(self) -> None:
        calls = self._calls
        log.info(
            "[DRAIN] drain started: the pod takes no new calls", active_calls=len(calls), timeout_s=self._timeout_s
        )
        if not await calls.drain(self._timeout_s):
            log.warning("[DRAIN] time limit reached; the service ends the remaining calls", active_calls=len(calls))
            await calls.end_all("drained", within=ENDING_S, pause_s=self._pause_s)
        while calls.redial_expected:  # noqa: ASYNC110 -- the clock ends it; a pod that left could not tell
            await asyncio.sleep(REDIAL_CHECK_S)
        log.info("[DRAIN] drain finished")


def _failed(task: asyncio.Task[None]) -> bool:
    """Whether a drain came to an end that was none: then the next order begins another one."""
    return task.done() and (task.cancelled() or task.exception() is not None)
