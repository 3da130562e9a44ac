"""The drainer of a sink: hands the outbox's events to it, in order, one pod of all that have the sink.

Each turn reads, delivers and notes, in this order. So what ends a turn (a kill, a lost connection) has the next one
begin with the same events: every event arrives at least once, and a receiver that keeps one of each id has it once.
Two pods can deliver for a moment, when a connection is lost and its pod lives on. Both go through the same events in
the same order, so what a receiver sees for the first time is in order even then.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from batkol.backoff import jittered
from batkol.sinks.connection import LostError
from batkol.sinks.delivery import Delivered
from batkol.sinks.doubts import NewEvents, Untakeable
from batkol.sinks.feed import SinkFeed
from batkol.sinks.limits import LIMITS, DrainerLimits
from batkol.sinks.outbox import SinkOutbox
from batkol.sinks.settling import Tried, settled, settled_again
from batkol.sinks.statistics import SinkState, SinkStatistics
from batkol.sinks.stored import Backlog, OutboxPosition, Settlement, StoredEvent
from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.remedies import remedy_of

SAID_EVERY_S: Final = 60.0
"""Seconds between two log lines about dead letters."""

TOUCH_S: Final = 30.0
"""Seconds after which the database hears that the sink is looked after."""

log = structlog.get_logger()


class Drainer:
    """One for each sink of the process. `on_delay` gets the age of each delivered event, in seconds."""

    def __init__(
        self,
        feed: SinkFeed,
        outbox: SinkOutbox,
        limits: DrainerLimits = LIMITS,
        on_delay: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.name = feed.name
        self.state = SinkState.STOPPED
        self._feed = feed
        self._outbox = outbox
        self._limits = limits
        self._on_delay = on_delay
        self._log = log.bind(sink=feed.name)
        self._new = NewEvents(limits)
        self._untakeable = Untakeable(limits)
        self._woken = asyncio.Event()
        self._rests = asyncio.Event()  # nothing can be handed on now
        self._rests.set()
        self._away = 0  # attempts in a row that the database did not answer
        self._database_fault = ""
        self._delivery_fault = ""
        self._fails = 0  # attempts in a row in which the receiver took nothing
        self._probe_at = 0.0  # not before that is a receiver that takes nothing tried again
        self._release_at = 0.0  # not before that are streams that wait tried again because another one was delivered
        self._stream_at = self._letter_at = math.inf  # when the next ones are due
        self._look_at = self._backlog_at = self._touch_at = self._say_at = 0.0
        self._held_back_s = 0.0
        self._backlog: Backlog | None = None
        self._pod = ""
        self._delivered = self._retries = self._refused = 0
        self._delay_s: float | None = None

    @property
    def statistics(self) -> SinkStatistics:
        """The sink, as this pod sees it."""
        return SinkStatistics(
            name=self.name,
            state=self.state.value,
            pod=self._pod,
            fault=self._database_fault or self._delivery_fault,
            delivered=self._delivered,
            retries=self._retries,
            refused=self._refused,
            delay_s=self._delay_s,
            held_back_s=self._held_back_s,
            backlog=self._backlog,
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
            self.state, self._backlog = SinkState.STOPPED, None
            self._rests.set()

    async def _deliver_while_locked(self) -> None:
        try:
            await self._outbox.begin()
            self._begin()
            while True:
                self._woken.clear()
                worked = await self._turn()
                self._database_is_back()  # not before that: a fault that comes at each turn must not be without waits
                if not worked:
                    await self._rest()
        finally:
            await self._outbox.unlock()

    def _begin(self) -> None:
        self.state, self._pod = SinkState.DELIVERING, self._outbox.pod
        self._rests.clear()
        self._look_at = self._backlog_at = self._probe_at = 0.0
        self._touch_at = self._now() + TOUCH_S
        self._new.begin(self._outbox.held, self._now())
        self._untakeable.begin()
        self._delivery_fault = self._outbox.fault
        if not self._database_fault:
            self._log.info("[SINK] this pod delivers the events of the sink")

    def _stand_by(self) -> None:
        self.state, self._backlog, self._pod = SinkState.STANDBY, None, self._outbox.holder
        self._held_back_s, self._delivery_fault = 0.0, ""
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
        self.state, self._backlog, self._database_fault = SinkState.WAITING, None, fault
        self._rests.set()
        attempt, self._away = self._away, self._away + 1
        await asyncio.sleep(self._limits.reconnect.wait_s(attempt))

    # -- one turn ------------------------------------------------------------------------------------------------

    async def _turn(self) -> bool:
        """Deliver some of what is new, what waited, and what is sent again; false if there was nothing."""
        worked = await self._deliver_new()
        now = self._now()
        if now >= self._look_at:
            await self._look()
        if now >= max(self._stream_at, self._probe_at):
            worked |= await self._deliver_due()
        if now >= max(self._letter_at, self._probe_at):
            worked |= await self._deliver_again()
        if now >= self._backlog_at:
            self._backlog = await self._outbox.backlog()
            self._backlog_at = self._now() + self._limits.backlog_s
        if now >= self._touch_at:
            await self._outbox.touch()
            self._touch_at = now + TOUCH_S
        return worked

    async def _deliver_new(self) -> bool:
        held = self._outbox.held
        if not self._new.may_begin(held, self._now()):
            return False
        events = self._new.chosen(await self._outbox.next(), held)
        if not events:
            self._held_back_s = await self._outbox.held_back_s() or 0.0
            return False
        self._held_back_s = 0.0
        tried = await self._deliver([each for each in events if each.stream_sid not in held])
        self._new.learn(tried, self._now())
        self._untakeable.learn(tried)
        await self._settle(self._noted(tried, settled(tried, self._limits.retry)), events[-1].at)
        return True

    async def _deliver_due(self) -> bool:
        """Try streams that waited: one alone while the receiver takes nothing."""
        streams, events = await self._outbox.due(1 if self._fails else self._limits.due_streams)
        tried = self._untakeable.judged(await self._deliver(events), self._outbox.held)
        done = settled(tried, self._limits.retry, streams)
        if tried and not (done.delivered or done.refused):
            self._probe_at = self._now() + self._limits.retry.wait_s(self._fails)
        await self._settle(self._noted(tried, done))
        self._look_at = 0.0
        return bool(streams)

    async def _deliver_again(self) -> bool:
        events = await self._outbox.again()
        tried = await self._deliver(events)
        done = self._noted(tried, settled_again(tried, self._limits.retry), is_replay=True)
        # a replay of a time has events of all types
        done.sent_again += [each.at.position for each in events if each.data is None]
        await self._settle(done)
        self._look_at = 0.0
        return bool(events)

    async def _deliver(self, events: Sequence[StoredEvent]) -> Tried:
        return await self._feed.deliver(events, self._limits.deliver_s)

    async def _look(self) -> None:
        """Ask what is due."""
        waits, now = await self._outbox.waits(), self._now()
        self._stream_at = math.inf if waits.stream_s is None else now + waits.stream_s
        self._letter_at = math.inf if waits.letter_s is None else now + waits.letter_s
        self._look_at = now + self._limits.poll_s

    async def _rest(self) -> None:
        """Wait until something is new, or due."""
        due_at = max(min(self._stream_at, self._letter_at), self._probe_at)
        until = min(self._look_at, self._backlog_at, due_at)
        if self._held_back_s:
            until = min(until, self._now() + self._limits.held_back_s)
        elif not self._woken.is_set():
            self._rests.set()
        try:
            async with asyncio.timeout_at(until):
                await self._woken.wait()
        except TimeoutError:
            return

    # -- what became of it ---------------------------------------------------------------------------------------

    def _noted(self, tried: Tried, done: Settlement, *, is_replay: bool = False) -> Settlement:
        """Count and log it."""
        self._delivered += done.delivered
        self._refused += len(done.refused)
        waiting = sum(1 for each in done.held.values() if each.reason) + len(done.postponed)
        self._retries += waiting
        if waiting:
            self._look_at = 0.0
        if done.delivered or done.refused:
            done.releases = self._is_back()
        elif tried:
            self._fails += 1
        if not is_replay:
            self._note_delays(tried)
        if done.refused and self._now() >= self._say_at:
            self._say_at = self._now() + SAID_EVERY_S
            self._log.warning(
                "[SINK] receiver refused events for good; they are dead letters, see `batkol sinks list`",
                events=len(done.refused),
                reason=next(iter(done.refused.values())),
            )
        return done

    def _is_back(self) -> bool:
        """Note that the receiver takes events; return whether those that wait need not wait any longer.

        That may be wrong: a receiver may take the events of all streams but one. So it is not said too often.
        """
        failed, self._fails, self._probe_at = self._fails, 0, 0.0
        if not failed or self._now() < self._release_at:
            return False
        self._release_at = self._now() + self._limits.retry.longest_s
        return True

    def _note_delays(self, tried: Tried) -> None:
        now = time.time()
        for event, outcome in tried:
            if isinstance(outcome, Delivered):
                self._delay_s = max(0.0, now - event.time.timestamp())
                self._on_delay(self._delay_s)

    async def _settle(self, done: Settlement, at: OutboxPosition | None = None) -> None:
        await self._outbox.settle(done, at)
        fault, before = self._outbox.fault, self._delivery_fault
        if self._outbox.held and not before:
            self._log.warning("[SINK] receiver does not take events; they wait, and are tried again", fault=fault)
        elif before and not fault:
            self._log.info("[SINK] receiver takes all events again")
        self._delivery_fault = fault

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
