"""The sinks of a process: what they do for as long as it runs, how it ends, and how they are seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import structlog

from batkol.events.bus import CAPACITY, Bus
from batkol.sinks.build import MadeSink
from batkol.sinks.drainers import Drainers
from batkol.sinks.settings import NatsSettings
from batkol.sinks.statistics import SinkState, SinkStatistics
from batkol.sinks.stored import Backlog
from batkol.store_status import SinkStatus
from batkol.supervision.tasks import Tasks
from batkol.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from batkol.sinks.nats.partials import NatsPartials

FINISH_S: Final = 5.0
"""Seconds at the end of the process for the last events; another pod hands on what is left then."""

NOTHING_WAITS: Final = Backlog(pending=0, oldest_s=0.0, streams=0, dead_letters=0, replays=0, delivered=0, expired=0)
NO_PARTIALS: Final[Mapping[str, NatsPartials]] = {}

log = structlog.get_logger()


class Sinks:
    """All of them, by name; `drainers` are of those whose events come out of the store."""

    def __init__(
        self,
        made: Sequence[MadeSink] = (),
        drainers: Drainers | None = None,
        partials: Mapping[str, NatsPartials] = NO_PARTIALS,
        pod: str = "",
    ) -> None:
        self._made = made
        self._drainers = drainers
        self._partials = partials
        self._pod = pod

    def status(self) -> Mapping[str, SinkStatus]:
        """The part of `/v1/status`."""
        of_store = {each.name: each for each in self._statistics()}
        return {
            each.name: self._status_of(each, of_store.get(each.name) or self._of_partials(each.name))
            for each in self._made
        }

    async def finish(self, flush: Callable[[float], Awaitable[bool]], within_s: float = FINISH_S) -> None:
        """Hand the last events on. `flush` waits for so many seconds until the database has all records."""
        if self._drainers is None:
            return
        try:
            async with asyncio.timeout(within_s):
                if await flush(within_s):
                    await self._drainers.caught_up()
        except TimeoutError:
            log.info("[SINK] pod ends before it has handed on everything; another pod goes on", seconds=within_s)

    def expose(self, metrics: Metrics) -> None:
        """Have the figures read at each scrape; once per process."""
        if not self._made:
            return
        for each in self._made:
            if each.settings.needs_store:
                metrics.sink_delivery.of(each.name)
        counters: tuple[tuple[str, str, Callable[[SinkStatistics], float]], ...] = (
            ("delivered", "Events that a sink's receiver has, by sink.", lambda of: of.delivered),
            ("retried", "Times that an event had to wait for another attempt, by sink.", lambda of: of.retries),
            ("dead_letters", "Events that became dead letters, because the receiver refused them, by sink.",
             lambda of: of.refused),
        )  # fmt: skip
        for name, description, read in counters:
            metrics.counters(f"batkol.sink.{name}", "{event}", description, self._reading(read), by="sink")
        gauges: tuple[tuple[str, str, Callable[[SinkStatistics], float]], ...] = (
            ("pending", "Events of all pods that wait for a sink, by sink.",
             lambda of: (of.backlog or NOTHING_WAITS).pending),
            ("oldest_seconds", "Age of the oldest event that waits for a sink, in seconds, by sink.",
             lambda of: (of.backlog or NOTHING_WAITS).oldest_s),
            ("expired", "Events that were deleted before the sink took them, by sink.",
             lambda of: (of.backlog or NOTHING_WAITS).expired),
            ("draining", "1 on the pod that hands events on to a sink, else 0, by sink.",
             lambda of: int(of.state == SinkState.DELIVERING)),
        )  # fmt: skip
        for name, description, read in gauges:
            metrics.gauges(f"batkol.sink.{name}", description, self._reading(read), by="sink")
        metrics.counters(
            "batkol.sink.partials_dropped",
            "{partial}",
            "Partials and first sounds of replies that a sink did not publish, because too many waited or the server "
            "was away, by sink.",
            lambda: {name: each.dropped for name, each in self._partials.items()},
            by="sink",
        )

    def _reading(self, read: Callable[[SinkStatistics], float]) -> Callable[[], Mapping[str, float]]:
        return lambda: {each.name: read(each) for each in self._statistics()}

    def _statistics(self) -> Sequence[SinkStatistics]:
        return () if self._drainers is None else self._drainers.statistics

    def _status_of(self, made: MadeSink, found: SinkStatistics) -> SinkStatus:
        partials = self._partials.get(made.name)
        backlog = found.backlog or NOTHING_WAITS
        return SinkStatus(
            kind=made.settings.kind,
            target=made.settings.target,
            state=found.state,
            holder=found.pod,
            pending=backlog.pending,
            oldest_s=round(backlog.oldest_s, 1),
            held_back_s=round(found.held_back_s, 1),
            dead_letters=backlog.dead_letters,
            expired=backlog.expired,
            delivered=found.delivered,
            retries=found.retries,
            partials_dropped=0 if partials is None else partials.dropped,
            fault=found.fault or (None if partials is None else partials.fault or None),
        )

    def _of_partials(self, name: str) -> SinkStatistics:
        """A sink that gets nothing out of the store: each pod delivers the partials of its own calls."""
        return SinkStatistics(
            name=name, state=SinkState.DELIVERING, pod=self._pod, fault="", delivered=0, retries=0, refused=0,
            delay_s=None, held_back_s=0.0, backlog=None,
        )  # fmt: skip


async def run_partials(
    made: Sequence[MadeSink], bus: Bus, tasks: Tasks, stack: AsyncExitStack
) -> Mapping[str, NatsPartials]:
    """Have partials published by the sinks that want them, as tasks `sinks.NAME.partials`; `stack` ends them."""
    wanting = [each for each in made if isinstance(each.settings, NatsSettings) and each.settings.partials]
    if not wanting:
        return {}
    from batkol.sinks.nats.sink import NatsSink  # noqa: PLC0415 -- nats-py, which others do without

    running = {}
    for each in wanting:
        if isinstance(each.sink, NatsSink):
            running[each.name] = each.sink.partials(bus, each.may, capacity=CAPACITY)
            await tasks.own(stack, running[each.name].run, f"sinks.{each.name}.partials", may_return=True)
    return running
