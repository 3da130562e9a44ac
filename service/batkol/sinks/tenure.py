"""The tenure of a pod at a sink: what the pod does from getting the sink's lock to losing it.

It reads, delivers and notes, in this order. So what ends a tenure (a kill, a lost connection) has the next one begin
with the same events: every event arrives at least once, and a receiver that keeps one of each id has it once.

Streams are on the way side by side (`sinks.lanes`). What is on the way for so long that the others need not wait for
it is noted as a stream that waits, behind what it has: the sink's position goes on, and if this pod is killed then,
the next one finds the stream among those that wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import asyncpg
import structlog

from batkol.sinks.delivery import Delivered, DeliveryOutcome
from batkol.sinks.doubts import Away, NewEvents, Untakeable
from batkol.sinks.feed import SinkFeed
from batkol.sinks.lanes import Lane, LaneKind, Lanes, lanes_of
from batkol.sinks.limits import DrainerLimits
from batkol.sinks.outbox import SinkOutbox
from batkol.sinks.settling import Tried, settled, settled_again
from batkol.sinks.stored import Backlog, OutboxPosition, Settlement, StoredEvent
from batkol.sinks.tally import Tally
from batkol.store.postgres.faults import error_name

UNCOUNTED_S: Final = 60.0
"""Seconds after which waiting events are counted again when that took the database too long."""

TOUCH_S: Final = 30.0
"""Seconds after which the database hears that the sink is looked after."""


class Tenure:
    """`outbox` has the lock, and has begun; `wake` has the next turn made now."""

    def __init__(
        self,
        feed: SinkFeed,
        outbox: SinkOutbox,
        limits: DrainerLimits,
        tally: Tally,
        *,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._feed = feed
        self._outbox = outbox
        self._limits = limits
        self._tally = tally
        self._clock = clock
        self._log = structlog.get_logger().bind(sink=feed.name)
        self._lanes = Lanes(
            self._deliver,
            feed.at_once,
            young_s=limits.young_s,
            longest_s=limits.lane_s,
            clock=clock,
            on_change=wake,
        )
        self._new = NewEvents(limits)
        self._new.begin(outbox.held, clock())
        self._untakeable = Untakeable(limits)
        self._away = Away(limits)
        self._fault = outbox.fault
        self._read_to = outbox.at  # what is on the way is before that
        self._probe_at = 0.0  # not before that is a receiver that takes nothing tried again
        self._release_at = 0.0  # not before that are streams that wait tried again because another one was delivered
        self._stream_at = self._letter_at = math.inf  # when the next ones are due
        self._look_at = self._backlog_at = self._settle_at = 0.0
        self._touch_at = clock() + TOUCH_S
        self.held_back_s: float | None = None
        """For how long events have waited for another transaction to end; None: none wait for one."""
        self.backlog: Backlog | None = None
        """Figures of what waits, by the last look."""

    @property
    def is_noted(self) -> bool:
        """Whether the database knows all that became of events so far."""
        return self._read_to == self._outbox.at and not self._lanes.has_done

    @property
    def is_resting(self) -> bool:
        """Whether nothing is on the way, and nothing is held back."""
        return self.held_back_s is None and not self._lanes.open

    @property
    def next_at(self) -> float:
        """Time of the next turn, by the clock."""
        now, calm_at = self._clock(), self._lanes.calm_at
        stream_at = self._stream_at if self._room else math.inf  # a lane that ends makes room, and the next turn
        letter_at = self._letter_at if self._room_to_fail else math.inf
        due_at = max(min(stream_at, letter_at), self._probe_at)
        until = min(self._look_at, self._backlog_at, calm_at if calm_at > now else due_at)
        if self.held_back_s is None:
            return until
        # who has waited for long need not look twenty times a second
        return min(until, now + max(self._limits.held_back_s, min(self._limits.poll_s, self.held_back_s / 20)))

    async def end(self) -> None:
        """Cancel what is on the way, and wait until it has ended: it is delivered again."""
        await self._lanes.cancel()

    async def turn(self) -> bool:
        """Note what was delivered, and begin what is new, what waited, and what is sent again; false if there was
        nothing."""
        is_calm = self._lanes.calm_at <= self._clock()
        worked = self._must_settle(is_calm=is_calm)
        if worked:
            await self._settle()
        if self._clock() >= self._look_at:
            await self._look()
        if is_calm:
            for begin in (self._begin_due, self._begin_again, self._begin_new):
                worked |= await begin()
        if self._clock() >= self._backlog_at:
            await self._count()
        if self._clock() >= self._touch_at:
            await self._outbox.touch()
            self._touch_at = self._clock() + TOUCH_S
        return worked

    async def _deliver(self, lane: Lane, event: StoredEvent) -> DeliveryOutcome:
        outcome = await self._feed.deliver(event, self._limits.deliver_s)
        if lane.kind is not LaneKind.AGAIN and isinstance(outcome, Delivered):
            self._tally.note_delivery(event)
        return outcome

    async def _look(self) -> None:
        """Ask what is due."""
        waits, now = await self._outbox.waits(self._on_the_way(), self._limits.retry.longest_s), self._clock()
        self._stream_at = math.inf if waits.stream_s is None else now + waits.stream_s
        self._letter_at = math.inf if waits.letter_s is None else now + waits.letter_s
        self._look_at = now + self._limits.poll_s

    async def _count(self) -> None:
        """Count what waits. Figures that take the database too long are no reason to deliver nothing."""
        try:
            self.backlog = await self._outbox.backlog()
        except asyncpg.QueryCanceledError as error:  # by the server's limit: the connection and the lock are there
            self._backlog_at = self._clock() + UNCOUNTED_S
            self._log.warning(
                "[SINK] the database does not count the events that wait in time; the figures are old",
                fault=error_name(error),
            )
        else:
            self._backlog_at = self._clock() + self._limits.backlog_s

    # -- what is begun ---------------------------------------------------------------------------------------------

    async def _begin_new(self) -> bool:
        """Begin with new events. What is on the way was noted before: their order is that of this position."""
        held = self._outbox.held
        if not self._room or not self._new.may_begin(held, self._clock()):
            return False
        found = await self._outbox.next()
        if not found and (waited_s := await self._outbox.held_back_s()) is not None:
            self.held_back_s = waited_s
            return False
        found = found or await self._outbox.next()  # the transaction that held some back may have ended in between
        events = self._new.chosen(found, held, self._clock())
        if not events:
            self.held_back_s = await self._outbox.held_back_s() if found else None
            return False
        self.held_back_s, self._read_to = None, events[-1].at
        wanted = (each for each in events if each.data is not None and each.stream_sid not in held)
        self._lanes.begin(lanes_of(LaneKind.NEW, wanted))
        return True

    async def _begin_due(self) -> bool:
        """Begin with streams that waited: with one alone while the receiver seems to be away."""
        if self._clock() < max(self._stream_at, self._probe_at) or not self._room:
            return False
        streams, events = await self._outbox.due(
            self._on_the_way(),
            self._limits.retry.longest_s,
            well=min(1, self._room) if self._away.is_likely else self._room,
            failing=self._room_to_fail,
        )
        self._stream_at = math.inf
        if streams:
            self._look_at = 0.0
            lanes = {lane.stream_sid: lane for lane in lanes_of(LaneKind.WAITING, events)}
            for stream_sid, attempts in streams.items():
                lane = lanes.setdefault(stream_sid, Lane(LaneKind.WAITING, stream_sid))
                lane.attempts, lane.is_noted = attempts, True
            self._lanes.begin(list(lanes.values()))
        return bool(streams)

    async def _begin_again(self) -> bool:
        if self._clock() < max(self._letter_at, self._probe_at) or not self._room_to_fail:
            return False
        events = await self._outbox.again(self._on_the_way(is_again=True))
        self._letter_at = math.inf
        if events:
            self._look_at = 0.0
            lanes = lanes_of(LaneKind.AGAIN, (each for each in events if each.data is not None))
            lanes = lanes[: self._room_to_fail]  # the others are due at the next look
            for lane in lanes:
                lane.attempts = lane.rest[0].attempts
            self._lanes.begin(lanes)
            # a replay of a time has events of all types
            if unwanted := [each.at.position for each in events if each.data is None]:
                await self._outbox.settle(Settlement(sent_again=unwanted))
        return bool(events)

    @property
    def _room(self) -> int:
        """Number of streams that may be on the way beside those that are."""
        return max(0, self._lanes.at_once - len(self._lanes.open))

    @property
    def _room_to_fail(self) -> int:
        """Number of them that may have failed before, or be replays: they may hang, and all others need room, too."""
        doubtful = sum(1 for lane in self._lanes.open if lane.attempts or lane.kind is LaneKind.AGAIN)
        if self._away.is_likely:
            return 0 if doubtful else min(1, self._room)
        share = max(1, int(self._lanes.at_once * self._limits.failing_share))
        return max(0, min(self._room, share - doubtful))

    def _on_the_way(self, *, is_again: bool = False) -> list[str]:
        """Return the streams of which something is not noted yet: what is over since the last note is among it."""
        return [lane.stream_sid for lane in self._lanes.known if (lane.kind is LaneKind.AGAIN) is is_again]

    # -- what became of it -----------------------------------------------------------------------------------------

    def _must_settle(self, *, is_calm: bool) -> bool:
        if is_calm and (self._read_to != self._outbox.at or self._lanes.has_over):
            return True
        return self._clock() >= self._settle_at and not self.is_noted

    async def _settle(self) -> None:
        """Note what became of events, and that the streams which are still on the way wait."""
        lanes = self._lanes.collect()
        failed = {lane.stream_sid: lane.attempts for lane in lanes if lane.is_noted}
        slow = [lane for lane in (*lanes, *self._lanes.open) if lane.kind is LaneKind.NEW and lane.has_rest]
        tried = {kind: [each for lane in lanes if lane.kind is kind for each in lane.take()] for kind in LaneKind}
        new, again = tried[LaneKind.NEW], tried[LaneKind.AGAIN]
        self._new.learn(new, self._clock())
        self._untakeable.learn(new)
        waited = self._untakeable.judged(tried[LaneKind.WAITING], self._outbox.held)
        done = settled([*new, *waited], self._limits.retry, failed)
        done.tried = [lane.stream_sid for lane in lanes if lane.is_noted and lane.is_over]
        for lane in slow:
            if not lane.is_noted:
                done.held[lane.stream_sid], lane.is_noted = lane.held, True
        done.releases = self._learn([*new, *waited, *again], is_probe=bool(waited or again))
        await self._note(done, self._read_to)
        if again:
            await self._note(settled_again(again, self._limits.retry), self._read_to)
        if any(lane.is_over and (lane.is_noted or lane.kind is LaneKind.AGAIN) for lane in lanes):
            self._look_at = 0.0  # what is left of them may be due
        self._settle_at = self._clock() + self._limits.poll_s

    def _learn(self, tried: Tried, *, is_probe: bool) -> bool:
        """Take note of how the receiver does; return whether those that wait need not wait any longer.

        That may be wrong: a receiver may take the events of all streams but one. So it is not said too often.
        """
        is_back, now = self._away.learn(tried), self._clock()
        if not self._away.is_likely:
            self._probe_at = 0.0
        elif is_probe:
            self._probe_at = now + self._away.probe_s()
        if not is_back or now < self._release_at:
            return False
        self._release_at = now + self._limits.retry.longest_s
        return True

    async def _note(self, done: Settlement, at: OutboxPosition) -> None:
        """Note what was done in the database, count it, and log a receiver that begins or ends to fail."""
        await self._outbox.settle(done, at)
        self._tally.note(done)
        if done.held or done.postponed or done.releases:
            self._look_at = 0.0
        fault, before = self._outbox.fault, self._fault
        if self._outbox.failing and fault and not before:
            self._log.warning("[SINK] receiver does not take events; they wait, and are tried again", fault=fault)
        elif before and not fault:
            self._log.info("[SINK] receiver takes all events again")
        self._fault = fault
