"""The loop of one agent: a pass, then nothing until something happens or it is time; after a failure, back off.

    clear the event -> pass -> wait(event, resync)

The event is cleared before the pass reads anything, so what happens during a pass leads to another one.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

import structlog

from batkol_operator.errors import RefusedError, UnreachableError
from batkol_operator.reconcile.backoff import FIRST_S, ReconcileBackoff
from batkol_operator.reconcile.liveness import LoopWatchdog
from batkol_operator.reconcile.reconciler import Means, PassOutcome, Reconciler
from batkol_operator.watch.cache import AgentKey
from batkol_operator.watch.object_state import Body

log = structlog.get_logger()

QUIETEST: Final = 3
"""Failures in a row after which they are worth a warning: one is everyday life."""


class AgentLoop:
    """Keeps one agent as it should be, for as long as `run` runs. `body` returns the agent as it stands."""

    def __init__(self, agent: AgentKey, body: Callable[[], Body], means: Means, progress: LoopWatchdog) -> None:
        self._agent = agent
        self._body = body
        self._means = means
        self._progress = progress
        self._reconciler = Reconciler(agent, means)
        self._backoff = ReconcileBackoff()
        self._log = log.bind(namespace=agent[0], agent=agent[1])

    async def run(self) -> NoReturn:
        """Run until cancelled, which may happen anywhere and needs no cleaning up in the cluster."""
        wake = self._means.seen.of(self._agent).wake
        clock = asyncio.get_running_loop().time
        try:
            while True:
                wake.clear()
                self._progress.begins(self._agent, clock())
                wait, worked = await self._attempt()
                self._progress.ends(self._agent, clock(), next_in=wait, worked=worked)
                if self._backoff.failures:  # an event may bring the next attempt forward, not make it one on another
                    await asyncio.sleep(min(wait, FIRST_S))
                    wait = max(0.0, wait - FIRST_S)
                await _wait(wake, wait)
        finally:
            self._progress.stopped(self._agent)
            self._means.metrics.agent_removed(self._agent)
            self._means.seen.forget(self._agent)

    async def _attempt(self) -> tuple[float, bool]:
        """Make one pass; return the seconds to wait and whether the API server did its part."""
        metrics = self._means.metrics
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            outcome = await self._reconciler.reconcile(self._body())
        except UnreachableError as error:
            return self._failed(error.kind, str(error)), False
        except RefusedError as error:  # the status itself, or a listing: the agent may be gone, or a right is missing
            return self._failed("refused", str(error)), True
        except Exception as error:  # noqa: BLE001 -- the rim: one agent's surprise is not the end of the others
            return self._failed("unexpected", where(error)), False
        finally:
            metrics.duration.observe(clock() - began)
        metrics.reconciles.labels(outcome.result).inc()
        return self._settle(outcome), True

    def _settle(self, outcome: PassOutcome) -> float:
        if not outcome.again:
            self._backoff.reset()
            return outcome.next_in
        self._means.metrics.errors.labels("refused").inc()
        return min(self._backoff.next(), outcome.next_in)

    def _failed(self, kind: str, why: str) -> float:
        self._means.metrics.reconciles.labels("failed").inc()
        self._means.metrics.errors.labels(kind).inc()
        wait = self._backoff.next()
        tell = self._log.warning if self._backoff.failures >= QUIETEST else self._log.info
        tell("pass failed", kind=kind, why=why, again_in_s=round(wait, 1), failures=self._backoff.failures)
        return wait


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return


def where(error: BaseException) -> str:
    """Say what was raised and where, without its text: that may quote a spec, and a spec has phone numbers in it."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(
        f"{frame.name} ({frame.filename.rpartition('/')[2]}:{frame.lineno})" for frame in reversed(frames)
    )
    return f"{type(error).__name__} in {places}"
