"""The loop of one agent: a pass, then a wait for the next event or the resync; after a failure, a backoff.

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
from batkol_operator.reconcile.reconciler import Context, PassOutcome, Reconciler
from batkol_operator.watch.cache import AgentKey
from batkol_operator.watch.object_state import Body

log = structlog.get_logger()

WARN_AFTER_FAILURES: Final = 3
"""Failures in a row from which on the log level is warning: single failures are normal."""


class AgentLoop:
    """Reconciles one agent while `run` runs. `body` returns the agent's newest state."""

    def __init__(self, agent: AgentKey, body: Callable[[], Body], context: Context, watchdog: LoopWatchdog) -> None:
        self._agent = agent
        self._body = body
        self._context = context
        self._watchdog = watchdog
        self._reconciler = Reconciler(agent, context)
        self._backoff = ReconcileBackoff()
        self._log = log.bind(namespace=agent[0], agent=agent[1])

    async def run(self) -> NoReturn:
        """Run until cancelled. Cancelling is safe anywhere and leaves nothing in the cluster to clean up."""
        wake = self._context.cache.view(self._agent).wake
        clock = asyncio.get_running_loop().time
        try:
            while True:
                wake.clear()
                self._watchdog.pass_began(self._agent, clock())
                wait, worked = await self._attempt()
                self._watchdog.pass_ended(self._agent, clock(), next_in=wait, worked=worked)
                if self._backoff.failures:  # an event may shorten a backoff, but never below the first delay
                    await asyncio.sleep(min(wait, FIRST_S))
                    wait = max(0.0, wait - FIRST_S)
                await _wait(wake, wait)
        finally:
            self._watchdog.loop_stopped(self._agent)
            self._context.metrics.remove_agent(self._agent)
            self._context.cache.forget(self._agent)

    async def _attempt(self) -> tuple[float, bool]:
        """Make one pass; return the seconds to wait, and whether the API server answered as it should."""
        metrics = self._context.metrics
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            outcome = await self._reconciler.reconcile(self._body())
        except UnreachableError as error:
            return self._failed(error.kind, str(error)), False
        except RefusedError as error:  # of the status or a listing: the agent may be deleted, or a right is missing
            return self._failed("refused", str(error)), True
        except Exception as error:  # noqa: BLE001 -- the rim: one agent's error must not stop the others
            return self._failed("unexpected", error_location(error)), False
        finally:
            metrics.duration.observe(clock() - began)
        metrics.reconciles.labels(outcome.result).inc()
        return self._settle(outcome), True

    def _settle(self, outcome: PassOutcome) -> float:
        if not outcome.retry:
            self._backoff.reset()
            return outcome.next_in
        self._context.metrics.errors.labels("refused").inc()
        return min(self._backoff.next(), outcome.next_in)

    def _failed(self, kind: str, why: str) -> float:
        self._context.metrics.reconciles.labels("failed").inc()
        self._context.metrics.errors.labels(kind).inc()
        wait = self._backoff.next()
        log_failure = self._log.warning if self._backoff.failures >= WARN_AFTER_FAILURES else self._log.info
        log_failure(
            "[OPERATOR] reconcile pass failed; the operator tries again",
            kind=kind,
            why=why,
            again_in_s=round(wait, 1),
            failures=self._backoff.failures,
        )
        return wait


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return


def error_location(error: BaseException) -> str:
    """Describe an error by type and place, without its text: that may quote a spec, and a spec has phone numbers."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(
        f"{frame.name} ({frame.filename.rpartition('/')[2]}:{frame.lineno})" for frame in reversed(frames)
    )
    return f"{type(error).__name__} in {places}"
