"""The service's metrics: OpenTelemetry instruments, read by Prometheus on /metrics and sent by OTLP where asked to.

Labels are bounded: a source, a step, a reason, never a call SID or a number. docs/observability.md lists them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from batkol.telemetry.buckets import Buckets
from batkol.telemetry.exemplars import ExemplarReader
from batkol.telemetry.push import readers
from batkol.telemetry.resource import resource

_LATENCY_S: Final = (
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
    1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.6, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
_FAST_S: Final = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0)
_INTERVAL_S: Final = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_CALL_S: Final = (5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
FLUSH_S: Final = 3.0
"""Seconds that the last metrics may take at shutdown."""


class Metrics:
    """One per process. Recording costs microseconds and touches no network."""

    def __init__(self, pod: str = "") -> None:
        """Raises `ConfigurationError` for an exporter in the environment that is not there."""
        self._registry = CollectorRegistry()
        self._reader = ExemplarReader(self._registry)
        self.written = Buckets("batkol.audio.written", "Last byte of a batch received to written to gRPC.", _FAST_S)
        self.partial_interval = Buckets(
            "batkol.partial.interval", "One partial to the next, while the caller speaks.", _INTERVAL_S
        )
        buckets = (self.written, self.partial_interval)
        for each in buckets:
            self._registry.register(each)
        pushing = self._pushing = readers(buckets)
        self._provider = MeterProvider([self._reader, *pushing], resource(pod), shutdown_on_exit=False, views=_views())
        self._meter = self._provider.get_meter("batkol")
        self._count_calls(self._meter)
        self._count_streams(self._meter)
        self._add_latencies(self._meter)

    def _count_calls(self, meter: Meter) -> None:
        self.calls = meter.create_counter("batkol.calls.ended", unit="{call}", description="Calls, by how they ended.")
        self.refused = meter.create_counter(
            "batkol.calls.refused", unit="{call}", description="Calls turned away, by reason."
        )
        self.finals = meter.create_counter("batkol.finals", unit="{utterance}", description="Finals, by source.")
        self.revised = meter.create_counter(
            "batkol.finals.revised", unit="{utterance}", description="Finals that came after their promotion."
        )
        self.partials = 0
        """Partials sent out; the most frequent event of all, so a plain number that is read at a scrape."""
        meter.create_observable_counter(
            "batkol.partials",
            callbacks=[lambda _: [Observation(self.partials)]],
            unit="{partial}",
            description="Partials sent out.",
        )
        self.fallbacks = meter.create_counter(
            "batkol.fallbacks", unit="{step}", description="Recognizers that failed, by step and reason."
        )
        self.malformed = meter.create_counter(
            "batkol.messages.malformed", unit="{message}", description="Messages that could not be read."
        )
        self.gap_ms = meter.create_counter(
            "batkol.audio_gaps", unit="ms", description="Silence put in for audio that never came."
        )
        self.flags = meter.create_counter(
            "batkol.flag_evaluations",
            unit="{evaluation}",
            description="Flag evaluations, by variant and reason.",
        )

    def _count_streams(self, meter: Meter) -> None:
        self.rotations = meter.create_counter(
            "batkol.streams.rotated", unit="{stream}", description="Streams to Google replaced by plan, by occasion."
        )
        self.reconnects = meter.create_counter(
            "batkol.streams.reconnected", unit="{stream}", description="Streams replaced after a fault, by reason."
        )
        self.failed_rotations = meter.create_counter(
            "batkol.streams.rotation_failed",
            unit="{stream}",
            description="Streams that were to take over by plan and could not, by reason.",
        )
        self.replayed_ms = meter.create_counter(
            "batkol.audio_replayed", unit="ms", description="Audio that was sent again after a fault."
        )
        self.audio_dropped = meter.create_counter(
            "batkol.audio.dropped", unit="ms", description="Audio that a stalled recognizer did not take in time."
        )

    def _add_latencies(self, meter: Meter) -> None:
        self.first_partial = meter.create_histogram(
            "batkol.first_partial.latency", unit="s", description="First sample of speech to first partial."
        )
        self.final = meter.create_histogram(
            "batkol.final.latency", unit="s", description="Last sample of speech to final."
        )
        self.duration = meter.create_histogram("batkol.calls.duration", unit="s", description="How long calls lasted.")
        self.loop_lag = meter.create_histogram(
            "batkol.audio.loop_lag", unit="s", description="How late the event loop runs a timer."
        )

    def count(self, *, flag: str, variant: str, reason: str) -> None:
        """Count a flag evaluation (`batkol.flags.hooks.EvaluationCounter`)."""
        self.flags.add(1, {"flag": flag, "variant": variant, "reason": reason})

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Have `read` called at each scrape."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read())]

        self._meter.create_observable_gauge(name, callbacks=[observe], description=description)

    def gauges(self, name: str, description: str, read: Callable[[], Mapping[str, float]], *, by: str) -> None:
        """Have `read` called at each scrape; its keys are the values of the label `by`."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, {by: key}) for key, value in read().items()]

        self._meter.create_observable_gauge(name, callbacks=[observe], description=description)

    def counter(self, name: str, unit: str, description: str, read: Callable[[], float]) -> None:
        """Have `read`, which only ever grows, called at each scrape."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read())]

        self._meter.create_observable_counter(name, callbacks=[observe], unit=unit, description=description)

    def counters(
        self, name: str, unit: str, description: str, read: Callable[[], Mapping[str, float]], *, by: str
    ) -> None:
        """Have `read`, whose values only ever grow, called at each scrape; its keys are values of the label `by`."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, {by: key}) for key, value in read().items()]

        self._meter.create_observable_counter(name, callbacks=[observe], unit=unit, description=description)

    def rotation_failed(self, reason: str) -> None:
        """Count a stream that could not take over (`batkol.google.speech.OnRotationFailed`)."""
        self.failed_rotations.add(1, {"reason": reason})

    def render(self) -> bytes:
        """Return Prometheus's text format."""
        return generate_latest(self._registry)

    def render_openmetrics(self) -> bytes:
        """Return OpenMetrics 1.0, which has exemplars."""
        page: bytes = openmetrics.generate_latest(self)  # type: ignore[no-untyped-call]
        return page

    def collect(self) -> Iterable[Metric]:
        """Yield what is exposed, with exemplars."""
        return self._reader.put_back(self._registry.collect())

    def close(self) -> None:
        """Flush and stop the readers; blocks for at most `FLUSH_S` if there is a collector."""
        self._provider.shutdown(timeout_millis=1000 * FLUSH_S)

    async def aclose(self) -> None:
        """Do so beside the loop. Cancelled, a thread finishes it all the same."""
        if self._pushing:
            await asyncio.to_thread(self.close)
        else:
            self.close()


def _views() -> list[View]:
    return [
        View(instrument_name="batkol.*.latency", aggregation=ExplicitBucketHistogramAggregation(_LATENCY_S)),
        View(
            instrument_name="batkol.audio.*",
            instrument_type=Histogram,
            aggregation=ExplicitBucketHistogramAggregation(_FAST_S),
        ),
        View(instrument_name="batkol.calls.duration", aggregation=ExplicitBucketHistogramAggregation(_CALL_S)),
    ]
