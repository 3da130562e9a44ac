"""The service's metrics: OpenTelemetry instruments, read by Prometheus on /metrics and sent by OTLP where asked to.

Labels are bounded: a source, a step, a reason, never a call SID or a number. docs/observability.md lists them all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.environment_variables import OTEL_METRICS_EXEMPLAR_FILTER
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from batkol.supervision.threads import Revivable
from batkol.telemetry.budget_metrics import BudgetCounts
from batkol.telemetry.instruments import Counts, Histogram
from batkol.telemetry.push import MetricExporterWithHistograms, PushReader
from batkol.telemetry.reply_metrics import ReplyCounts, ReplyTimes
from batkol.telemetry.resource import resource
from batkol.telemetry.signal_state import SignalState
from batkol.telemetry.sink_metrics import sink_delivery
from batkol.telemetry.tool_metrics import ToolCounts, tool_duration
from batkol.telemetry.voice_metrics import VoiceCounts
from batkol_otel.exporters import exporters

_LATENCY_S: Final = (
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
    1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.6, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
_FAST_S: Final = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0)
_INTERVAL_S: Final = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_CALL_S: Final = (5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
FLUSH_S: Final = 3.0
"""Seconds that the last metrics may take at shutdown."""

log = structlog.get_logger()


class Metrics:
    """One per process. Recording costs microseconds and touches no network."""

    def __init__(self, pod: str = "") -> None:
        """Send the metrics where the environment asks for; a fault of that is in `standing`, and /metrics has them."""
        self._registry = CollectorRegistry()
        buckets = self._measure()
        for each in buckets:
            self._registry.register(each)
        self._pushing: dict[str, PushReader] = {}
        self._failed: dict[str, str] = {}
        self._push(buckets)
        scraped = PrometheusMetricReader(registry=self._registry)
        readers: list[MetricReader] = [scraped, *self._pushing.values()]
        self._provider = MeterProvider(readers, resource(pod), shutdown_on_exit=False)
        self._meter = self._provider.get_meter("batkol")
        self._count_calls()
        self._count_streams()
        self.replies = ReplyCounts(self._counts)
        self.budgets = BudgetCounts(self._counts)
        self.tools = ToolCounts(self._counts, self._tool_duration)
        self.voices = VoiceCounts(self._counts)

    def _push(self, buckets: Sequence[Histogram]) -> None:
        """Make the readers that the environment asks for, with `buckets` beside the SDK's instruments."""
        named = exporters("metrics")
        self._failed.update(named.failed)
        for name, exporter in named.made.items():
            try:
                self._pushing[name] = PushReader(MetricExporterWithHistograms(exporter, buckets))
            except Exception as error:  # noqa: BLE001  the rim: an exporter may be foreign code
                self._failed[name] = f"the SDK cannot use the exporter ({type(error).__name__})"

    @property
    def standing(self) -> SignalState:
        """The exporters of the metrics, and the state of each."""
        delivering = all(reader.outgoing.delivering for reader in self._pushing.values())
        return SignalState(tuple(self._pushing), self._failed, delivering)

    def _measure(self) -> Sequence[Histogram]:
        exemplars = os.environ.get(OTEL_METRICS_EXEMPLAR_FILTER) != "always_off"

        def buckets(name: str, bounds: Sequence[float], description: str, *labels: str) -> Histogram:
            return Histogram(name, description, bounds, labels=labels, exemplars=exemplars)

        self.first_partial = buckets(
            "batkol.first_partial.latency",
            _LATENCY_S,
            "Time from the first sample of speech to the first partial, in seconds, by recognizer.",
            "recognizer",
        )
        self.final = buckets(
            "batkol.final.latency",
            _LATENCY_S,
            "Time from the last sample of speech to the final, in seconds, by streaming recognizer.",
            "recognizer",
        )
        self.partial_interval = buckets(
            "batkol.partial.interval",
            _INTERVAL_S,
            "Time between two partials while the caller speaks, in seconds, by recognizer.",
            "recognizer",
        )
        self.written = buckets(
            "batkol.audio.written",
            _FAST_S,
            "Time from the last byte of a batch received to the batch written to the recognizer, in seconds.",
            "recognizer",
        )
        self.loop_lag = buckets("batkol.audio.loop_lag", _FAST_S, "Delay of the event loop's timers, in seconds.")
        self.duration = buckets("batkol.calls.duration", _CALL_S, "Duration of calls, in seconds.")
        self.reply_times = ReplyTimes(exemplars=exemplars)
        heard = (self.first_partial, self.final, self.partial_interval, self.written, self.loop_lag, self.duration)
        self._tool_duration = tool_duration(exemplars=exemplars)
        self.sink_delivery = sink_delivery(exemplars=exemplars)
        return *heard, *self.reply_times.buckets, self._tool_duration, self.sink_delivery

    def _count_calls(self) -> None:
        self.calls = self._counts("batkol.calls.ended", "{call}", "Calls that ended, by reason.")
        self.refused = self._counts("batkol.calls.refused", "{call}", "Calls that the service refused, by reason.")
        self.line_actions = self._counts(
            "batkol.line.actions", "{action}", "Calls that the service hung up or transferred, by action and outcome."
        )
        self.http_closed = self._counts(
            "batkol.http.closed",
            "{connection}",
            "HTTP connections that the service closed before it answered their request, by listener and reason.",
        )
        self.partials = self._counts("batkol.partials", "{partial}", "Partials sent to subscribers, by recognizer.")
        self.finals = self._counts("batkol.finals", "{utterance}", "Finals, by source and streaming recognizer.")
        self.revised = self._counts(
            "batkol.finals.revised",
            "{utterance}",
            "Finals whose text changed after the service sent them, by recognizer.",
        )
        self.fallbacks = self._counts(
            "batkol.fallbacks", "{step}", "Recognition steps that failed, by step, reason and streaming recognizer."
        )
        self.malformed = self._counts(
            "batkol.messages.malformed", "{message}", "Messages from Twilio that the service could not read."
        )
        self.gap_ms = self._counts(
            "batkol.audio_gaps", "ms", "Silence inserted for audio that never arrived, in milliseconds."
        )
        self.flags = self._counts("batkol.flag_evaluations", "{evaluation}", "Flag evaluations, by variant and reason.")

    def _count_streams(self) -> None:
        self.rotations = self._counts(
            "batkol.streams.rotated",
            "{stream}",
            "Streams that the service replaced by plan, by why and recognizer.",
        )
        self.reconnects = self._counts(
            "batkol.streams.reconnected",
            "{stream}",
            "Streams that the service replaced after a fault, by reason and the recognizer that failed.",
        )
        self.failed_rotations = self._counts(
            "batkol.streams.rotation_failed",
            "{stream}",
            "Planned replacements of streams that failed, by reason and recognizer.",
        )
        self.recognizer_changes = self._counts(
            "batkol.recognizer.changes",
            "{change}",
            "Calls that changed to another streaming recognizer, by that recognizer and reason.",
        )
        self.replayed_ms = self._counts(
            "batkol.audio_replayed",
            "ms",
            "Audio that the service sent again after a fault, in milliseconds, by recognizer.",
        )
        self.audio_dropped = self._counts(
            "batkol.audio.dropped",
            "ms",
            "Audio dropped because a stalled recognizer did not accept it in time, in milliseconds, by recognizer.",
        )

    def _counts(self, name: str, unit: str, description: str) -> Counts:
        return Counts(self._meter, name, unit, description)

    def count(self, *, flag: str, variant: str, reason: str) -> None:
        """Count a flag evaluation (`batkol.flags.hooks.EvaluationCounter`)."""
        self.flags.add(1, {"flag": flag, "variant": variant, "reason": reason})

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Have `read` called at each scrape."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [_observed(read())]

        self._meter.create_observable_gauge(name, callbacks=[observe], description=description)

    def gauges(self, name: str, description: str, read: Callable[[], Mapping[str, float]], *, by: str) -> None:
        """Have `read` called at each scrape; its keys are the values of the label `by`."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [_observed(value, {by: key}) for key, value in read().items()]

        self._meter.create_observable_gauge(name, callbacks=[observe], description=description)

    def counter(self, name: str, unit: str, description: str, read: Callable[[], float]) -> None:
        """Have `read`, which only ever grows, called at each scrape."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [_observed(read())]

        self._meter.create_observable_counter(name, callbacks=[observe], unit=unit, description=description)

    def counters(
        self, name: str, unit: str, description: str, read: Callable[[], Mapping[str, float]], *, by: str
    ) -> None:
        """Have `read`, whose values only ever grow, called at each scrape; its keys are values of the label `by`."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [_observed(value, {by: key}) for key, value in read().items()]

        self._meter.create_observable_counter(name, callbacks=[observe], unit=unit, description=description)

    def sink_delivered(self, sink: str, delay_s: float) -> None:
        """Count an event that a sink's receiver has (`batkol.sinks.drainers.OnDelay`)."""
        self.sink_delivery.of(sink).record(delay_s)

    def begin_with(self, recognizer: str) -> None:
        """Show what has not happened to that streaming recognizer yet, of what it does by its name alone."""
        for histogram in (self.first_partial, self.final, self.partial_interval, self.written):
            histogram.of(recognizer)
        for counter in (self.partials, self.revised, self.replayed_ms, self.audio_dropped):
            counter.add(0, {"recognizer": recognizer})

    def audio_written(self, seconds: float, recognizer: str) -> None:
        """Record a batch that a stream has taken (`batkol.recognizers.streaming.options.OnWritten`)."""
        self.written.of(recognizer).record(seconds)

    def rotation_failed(self, reason: str, recognizer: str) -> None:
        """Count a stream that could not take over (`batkol.recognizers.streaming.options.OnRotationFailed`)."""
        self.failed_rotations.add(1, {"reason": reason, "recognizer": recognizer})

    def render(self) -> bytes:
        """Return Prometheus's text format."""
        return generate_latest(self._registry)

    def render_openmetrics(self) -> bytes:
        """Return OpenMetrics 1.0, which has exemplars."""
        page: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
        return page

    def close(self, within_s: float = FLUSH_S) -> None:
        """Flush and stop the readers; blocks for at most `within_s` if there is a collector."""
        try:
            self._provider.shutdown(timeout_millis=1000 * within_s)
        except Exception as error:  # noqa: BLE001  the SDK's word for a reader that was not done in time, and the like
            log.warning("[OTEL] the last metrics were not sent", err=type(error).__name__)

    @property
    def threads(self) -> Sequence[Revivable]:
        """The threads that send metrics; empty without a collector."""
        return tuple(self._pushing.values())

    async def aclose(self, within_s: float = FLUSH_S) -> None:
        """Close in a worker thread. Cancelled, the thread finishes all the same."""
        if self._pushing:
            await asyncio.to_thread(self.close, within_s)
        else:
            self.close()


def _observed(value: float, labels: Mapping[str, str] | None = None) -> Observation:
    """Return a value as a number: OTLP has no booleans, and one would keep every metric from the collector."""
    return Observation(int(value) if isinstance(value, bool) else value, labels)
