"""Metrics on their way to a collector: OTLP, where the environment names one.

A thread of the SDK's collects every OTEL_METRIC_EXPORT_INTERVAL (60 s) and at the end. Batkol's own histograms, which
the SDK does not know, are added here. A collector that is away is logged once, and so is its return: the SDK would
repeat it at every failure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from batkol.telemetry import instruments
from batkol.telemetry.instruments import Buckets, Example
from batkol.telemetry.span_queue import REMEDY

log = structlog.get_logger()


class PushReader(PeriodicExportingMetricReader):
    """The SDK's, whose thread ends for good at the first collection that raises anything but a time-out.

    See `batkol.supervision.threads.Revivable`. A new thread begins where the dead one ended: counts are cumulative.
    """

    def __init__(self, outgoing: MetricExporterWithHistograms) -> None:
        super().__init__(outgoing)
        self.outgoing: Final = outgoing

    fault = ""
    """The thread is the SDK's, and has left for stderr what it was."""

    @property
    def dead(self) -> bool:
        """See `batkol.supervision.threads.Revivable`."""
        return not self._shutdown and self._daemon_thread is not None and not self._daemon_thread.is_alive()

    def revive(self) -> None:
        """See `batkol.supervision.threads.Revivable`."""
        self._at_fork_reinit()  # type: ignore[no-untyped-call]  # the SDK's way to a new thread in a child process


class MetricExporterWithHistograms(MetricExporter):
    """Hands everything to `exporter`, on the thread that collects."""

    def __init__(self, exporter: MetricExporter, histograms: Sequence[instruments.Histogram]) -> None:
        super().__init__(
            preferred_temporality=exporter._preferred_temporality,  # noqa: SLF001  as the SDK's reader reads it
            preferred_aggregation=exporter._preferred_aggregation,  # noqa: SLF001
        )
        self._exporter = exporter
        self._histograms = histograms
        self._began = self._exemplars_sent_at = time.time_ns()
        self.delivering = True
        """Whether the collector took the last collection; true before the first."""

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Send one collection; blocks for at most OTEL_EXPORTER_OTLP_TIMEOUT."""
        raised = ""
        try:
            result = self._exporter.export(self._completed(metrics_data), timeout_millis, **kwargs)
        except Exception as error:  # noqa: BLE001  the rim: the SDK would print it, and it may quote a header
            result, raised = MetricExportResult.FAILURE, type(error).__name__
        self._account(result is MetricExportResult.SUCCESS, raised)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Give an export that is under way up."""
        self._exporter.shutdown(timeout_millis, **kwargs)

    def _completed(self, data: MetricsData) -> MetricsData:
        first, *others = data.resource_metrics
        scope, *scopes = first.scope_metrics
        now = time.time_ns()
        metrics = [*scope.metrics, *(self._metric(each, now) for each in self._histograms)]
        self._exemplars_sent_at = now
        first = replace(first, scope_metrics=[replace(scope, metrics=metrics), *scopes])
        return replace(data, resource_metrics=[first, *others])

    def _metric(self, histogram: instruments.Histogram, now: int) -> Metric:
        points = [
            self._point(dict(zip(histogram.labels, values, strict=True)), buckets, now)
            for values, buckets in list(histogram.series.items())
        ]
        return Metric(
            name=histogram.name,
            description=histogram.description,
            unit="s",
            data=Histogram(points, AggregationTemporality.CUMULATIVE),
        )

    def _point(self, labels: Mapping[str, str], buckets: Buckets, now: int) -> HistogramDataPoint:
        counts = buckets.counts
        unrecorded: Any = None  # least and greatest are optional on the wire
        return HistogramDataPoint(
            attributes=labels,
            start_time_unix_nano=self._began,
            time_unix_nano=now,
            count=sum(counts),
            sum=buckets.sum,
            bucket_counts=counts,
            explicit_bounds=buckets.bounds,
            min=unrecorded,
            max=unrecorded,
            exemplars=[
                _exemplar(example) for example in buckets.examples() if self._exemplars_sent_at < example.at <= now
            ],
        )

    def _account(self, accepted: bool, raised: str) -> None:
        if accepted and not self.delivering:
            log.info("[OTEL] collector takes metrics again")
        elif not accepted and self.delivering:
            log.warning(
                "[OTEL] collector does not take metrics; /metrics has them, the calls continue",
                err=raised,
                remedy=f"{REMEDY}; OTEL_METRICS_EXPORTER=none if the collector is for traces only",
            )
        self.delivering = accepted


def _exemplar(example: Example) -> Exemplar:
    span = example.span
    return Exemplar({}, example.seconds, example.at, span_id=span.span_id, trace_id=span.trace_id)
