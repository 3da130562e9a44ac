"""Ended spans on their way out: a bounded queue and a thread, so that a collector that is slow or away costs no call.

The SDK's own batch processor does the same, but counts nothing that a scrape could read, logs the same line at every
failure, and takes half a minute to close when no collector answers. What does not fit is dropped and counted, and so is
what a collector did not take; an outage of the collector is logged once, and so is its end.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from batkol.supervision.threads import Thread

GRACE_S: Final = 1.0
"""Seconds beyond its time for which closing waits for an export that is given up."""

REMEDY: Final = (
    "check OTEL_EXPORTER_OTLP_ENDPOINT and _PROTOCOL; 4317 is usually the port of grpc, 4318 of http/protobuf"
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SpanQueueLimits:
    """OTEL_BSP_*. Spans go out every second by default, not every five: smaller batches hold the event loop up less."""

    queue: int = 2048  # spans
    batch: int = 512  # spans
    delay_s: float = 1.0

    @classmethod
    def from_environment(cls) -> SpanQueueLimits:
        """Read OTEL_BSP_MAX_QUEUE_SIZE, _MAX_EXPORT_BATCH_SIZE and _SCHEDULE_DELAY; what is no number is warned of."""
        defaults = cls()
        queue = _number("OTEL_BSP_MAX_QUEUE_SIZE", defaults.queue)
        batch = _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", defaults.batch)
        delay_ms = _number("OTEL_BSP_SCHEDULE_DELAY", round(1000 * defaults.delay_s))
        return cls(queue=queue, batch=min(batch, queue), delay_s=delay_ms / 1000)


class SpanQueue(SpanProcessor):
    """Takes ended spans on any thread, never waits, and hands them to the exporters on its own."""

    def __init__(self, exporters: Sequence[SpanExporter], limits: SpanQueueLimits) -> None:
        self._exporters = exporters
        self._limits = limits
        self._queue: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._failing: set[SpanExporter] = set()
        self._underway = 0
        self.dropped = 0
        """Spans that no collector got."""
        self._raised = ""
        self._thread = Thread(self._run, "spans")
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do: what counts is the end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, or count it if there is no room."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        waiting = len(self._queue)
        if self._closing or waiting >= self._limits.queue:
            self.dropped += 1
            return
        self._queue.append(span)
        if waiting + 1 >= self._limits.batch:
            self._wake.set()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what is queued has gone out, or the time is over; for tests and the demo."""
        until = time.monotonic() + timeout_millis / 1000
        while self._queue or self._underway:
            if time.monotonic() > until or not self._thread.alive:
                return False
            self._wake.set()
            time.sleep(0.005)
        return True

    @property
    def delivering(self) -> bool:
        """Whether every exporter got rid of its last batch; true before the first."""
        return not self._failing

    @property
    def fault(self) -> str:
        """See `batkol.supervision.threads.Revivable`."""
        return self._thread.fault

    @property
    def dead(self) -> bool:
        """See `batkol.supervision.threads.Revivable`."""
        return not self._closing and not self._thread.alive

    def revive(self) -> None:
        """See `batkol.supervision.threads.Revivable`. What the dead thread had in hand is counted as dropped."""
        self.dropped += self._underway
        self._underway = 0
        self._thread.start()

    def close(self, within_s: float) -> None:
        """Send what waits, for at most `within_s`; blocks. What is left is counted as dropped."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        self._thread.join(within_s)
        before = self.dropped
        if self._thread.alive:
            self._give_up()
        for exporter in self._exporters:
            _shut_down(exporter)  # ends an export that hangs
        self._thread.join(GRACE_S)
        if self._thread.alive:
            self.dropped += self._underway
        if unsent := self.dropped - before:
            log.warning("[OTEL] collector did not take the last spans in time", spans=unsent)

    def shutdown(self) -> None:
        """The provider's word for `close`."""
        self.close(0.0)

    def _give_up(self) -> None:
        with suppress(IndexError):  # empty
            while True:
                self._queue.pop()
                self.dropped += 1

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._limits.delay_s)
            self._wake.clear()
            self._send()
        self._send()

    def _send(self) -> None:
        while self._queue:
            self._underway = len(self._queue)  # before it is taken, or a flush might see nothing at all
            batch = self._next_batch()
            count = self._underway = len(batch)
            if not batch:
                return
            for exporter in self._exporters:
                self._account(exporter, self._export(exporter, batch), count)
            self._underway = 0

    def _next_batch(self) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        with suppress(IndexError):  # `close` may empty the queue meanwhile
            while len(batch) < self._limits.batch:
                batch.append(self._queue.popleft())
        return batch

    def _export(self, exporter: SpanExporter, batch: Sequence[ReadableSpan]) -> bool:
        self._raised = ""
        try:
            return exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001  the rim: an exporter may be foreign code
            self._raised = type(error).__name__  # its text may quote a header
            return False

    def _account(self, exporter: SpanExporter, accepted: bool, count: int) -> None:
        if not accepted:
            self.dropped += count
        if accepted and exporter in self._failing:
            self._failing.discard(exporter)
            log.info("[OTEL] collector takes spans again", dropped=self.dropped)
        elif not accepted and exporter not in self._failing:
            self._failing.add(exporter)
            log.warning(
                "[OTEL] collector does not take spans; they are dropped and counted, the calls continue",
                err=self._raised,
                remedy=REMEDY,
            )


def _shut_down(exporter: SpanExporter) -> None:
    try:
        exporter.shutdown()
    except Exception as error:  # noqa: BLE001  the rim: an exporter may be foreign code
        log.warning("[OTEL] an exporter of spans did not shut down", err=type(error).__name__)


def _number(name: str, default: int) -> int:
    given = os.environ.get(name, "").strip()
    if not given:
        return default
    if given.isdecimal() and int(given) > 0:
        return int(given)
    log.warning("[OTEL] variable is not a positive number; its default is used", variable=name, default=default)
    return default
