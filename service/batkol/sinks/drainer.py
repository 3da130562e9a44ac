"""The drainer of a sink: hands the outbox's events to it, in order, one pod of all that have the sink.

The pod that has the sink's lock does it (`sinks.tenure`), and the others try to get the lock. Two pods can deliver for
a moment, when a connection is lost and its pod lives on. Both go through the same events in the same order, so what a
receiver sees for the first time is in order even then.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import structlog

from batkol.backoff import jittered
from batkol.sinks.connection import LostError
from batkol.sinks.feed import SinkFeed
from batkol.sinks.limits import LIMITS, DrainerLimits
from batkol.sinks.outbox import SinkOutbox
from batkol.sinks.statistics import SinkState, SinkStatistics
from batkol.sinks.tally import Tally
from batkol.sinks.tenure import Tenure
from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.remedies import remedy_of

log = structlog.get_logger()


class Drainer:
    """One for each sink of the process. `on_delay` gets the age of each delivered event, in seconds; `clock` is in
    seconds of any clock that runs on, and None is the event loop's."""

    def __init__(
        self,
        feed: SinkFeed,
        outbox: SinkOutbox,
        limits: DrainerLimits = LIMITS,
        on_delay: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.name = feed.name
        self.state = SinkState.STOPPED
        self._feed = feed
        self._outbox = outbox
        self._limits = limits
        self._clock = clock or asyncio.get_running_loop().time
        self._log = log.bind(sink=feed.name)
        self._tally = Tally(feed.name, on_delay, self._clock)
        self._tenure: Tenure | None = None  # while this pod has the lock
        self._woken = asyncio.Event()
        self._rests = asyncio.Event()  # nothing can be handed on now
        self._rests.set()
        self._away = 0  # attempts in a row that the database did not answer
        self._database_fault = ""
        self._delivery_fault = ""
        self._pod = ""

    @property
    def statistics(self) -> SinkStatistics:
        """The sink, as this pod sees it."""
        tally = self._tally
        tenure = self._tenure if self.state is SinkState.DELIVERING else None
        return SinkStatistics(
            name=self.name,
            state=self.state.value,
            pod=self._pod,
            fault=self._database_fault or self._delivery_fault,
            delivered=tally.delivered,
            retries=tally.retries,
            refused=tally.refused,
            delay_s=tally.delay_s,
            held_back_s=0.0 if tenure is None else tenure.held_back_s or 0.0,
            backlog=None if tenure is None else tenure.backlog,
        )

    def wake(self) -> None:
        """Look for new events now."""
        self._rests.clear()
        self._woken.set()

    async def caught_up(self) -> None:
        """Wait until this pod has handed on what it can: what a receiver puts off, and other pods' sinks, stay."""
        while self.state is SinkState.DELIVERING and not self._rests.is_set():
            await self._rests.wait()

    async def run(self) -> None:
        """Hand events on whenever no other pod does, until cancelled; nothing is lost by that."""
        try:
            while True:
                try:
                    if await self._outbox.lock():
                        await self._deliver_while_locked()
                    else:
                        self._stand_by()
                        await asyncio.sleep(jittered(self._limits.look_s))
                except DB_ERRORS as error:
                    await self._hold_on(error)
        finally:
            self.state = SinkState.STOPPED
            self._rests.set()

    async def _deliver_while_locked(self) -> None:
        try:
            await self._outbox.begin()
            self._tenure = tenure = Tenure(
                self._feed, self._outbox, self._limits, self._tally, clock=self._clock, wake=self._woken.set
            )
            self._begin()
            try:
                while True:
                    self._woken.clear()
                    worked = await tenure.turn()
                    self._delivery_fault = self._outbox.fault
                    if tenure.is_noted:  # not before that: a fault of each note must not be without waits
                        self._database_is_back()
                    if not worked:
                        await self._rest(tenure)
            finally:
                await tenure.end()
        finally:
            self._tenure = None
            await self._outbox.unlock()

    def _begin(self) -> None:
        self.state, self._pod = SinkState.DELIVERING, self._outbox.pod
        self._rests.clear()
        self._delivery_fault = self._outbox.fault
        if not self._database_fault:
            self._log.info("[SINK] this pod delivers the events of the sink")

    async def _rest(self, tenure: Tenure) -> None:
        """Wait until something is new, due, or over."""
        if tenure.is_resting and not self._woken.is_set():
            self._rests.set()
        wait_s = tenure.next_at - self._clock()
        try:
            async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                await self._woken.wait()
        except TimeoutError:
            return

    # -- without the lock ------------------------------------------------------------------------------------------

    def _stand_by(self) -> None:
        self.state, self._pod = SinkState.STANDBY, self._outbox.holder
        self._delivery_fault = ""
        self._database_is_back()

    def _database_is_back(self) -> None:
        if self._database_fault:
            self._log.info("[SINK] database available again")
            self._away, self._database_fault = 0, ""

    async def _hold_on(self, error: BaseException) -> None:
        """Wait before the database is asked again; each outage is logged once."""
        fault = f"the database: {error if isinstance(error, LostError) else error_name(error)}"
        if not self._database_fault:
            waiting = "[SINK] database not available; events wait in the outbox and the service tries again"
            self._log.warning(waiting, fault=fault, remedy=remedy_of(fault))
        self.state, self._database_fault = SinkState.WAITING, fault
        self._rests.set()
        attempt, self._away = self._away, self._away + 1
        await asyncio.sleep(self._limits.reconnect.wait_s(attempt))
