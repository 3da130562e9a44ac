"""The service's metrics: OpenTelemetry instruments, read by Prometheus on /metrics.

Labels are bounded: a source, a step, a reason, never a call SID or a number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

_LATENCY_S: Final = (
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
    1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.6, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
_FAST_S: Final = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0)


class Buckets(Collector):
    """A histogram for the media path, which records seven times a second and call: an OpenTelemetry instrument, with
    its views, attributes and locks, takes twenty times as long. Written on the event loop only, read at a scrape.
    """

    def __init__(self, name: str, description: str) -> None:
        self._name = name
        self._description = description
        self._counts = [0] * (len(_FAST_S) + 1)
        self._sum = 0.0

    def record(self, seconds: float) -> None:
        self._counts[bisect_left(_FAST_S, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        bounds = (*map(str, _FAST_S), "+Inf")
        cumulative = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._description, buckets=cumulative, sum_value=self._sum)


class Metrics:
    """One per process. Recording costs microseconds and touches no network."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(registry=self._registry)
        views = [
            View(instrument_name="batkol.*.latency", aggregation=ExplicitBucketHistogramAggregation(_LATENCY_S)),
            View(
                instrument_name="batkol.audio.*",
                instrument_type=Histogram,
                aggregation=ExplicitBucketHistogramAggregation(_FAST_S),
            ),
        ]
        resource = Resource.create({"service.name": "batkol"})
        self._provider = MeterProvider(metric_readers=[reader], resource=resource, views=views)
        meter = self._meter = self._provider.get_meter("batkol")
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
        self.rotations = meter.create_counter(
            "batkol.streams.rotated", unit="{stream}", description="Streams to Google replaced by plan, by occasion."
        )
        self.reconnects = meter.create_counter(
            "batkol.streams.reconnected", unit="{stream}", description="Streams replaced after a fault, by reason."
        )
        self.replayed_ms = meter.create_counter(
            "batkol.audio_replayed", unit="ms", description="Audio that was sent again after a fault."
        )
        self.audio_dropped = meter.create_counter(
            "batkol.audio.dropped", unit="ms", description="Audio that a stalled recognizer did not take in time."
        )
        self.flags = meter.create_counter(
            "batkol.flag_evaluations",
            unit="{evaluation}",
            description="Flag evaluations, by variant and reason.",
        )
        self._add_latencies()

    def _add_latencies(self) -> None:
        meter = self._meter
        self.first_partial = meter.create_histogram(
            "batkol.first_partial.latency", unit="s", description="First sample of speech to first partial."
        )
        self.final = meter.create_histogram(
            "batkol.final.latency", unit="s", description="Last sample of speech to final."
        )
        self.written = Buckets("batkol_audio_written_seconds", "Last byte of a batch received to written to gRPC.")
        self._registry.register(self.written)
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

    def counter(self, name: str, unit: str, description: str, read: Callable[[], int]) -> None:
        """Have `read`, which only ever grows, called at each scrape."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read())]

        self._meter.create_observable_counter(name, callbacks=[observe], unit=unit, description=description)

    def render(self) -> bytes:
        """Return Prometheus's text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Flush and stop the readers."""
        self._provider.shutdown()
