"""Exemplars on /metrics: the trace of an utterance that fell into a bucket.

The SDK keeps exemplars, and its reader for Prometheus drops them (0.66b2), so they are noted here on their way through
and put back where the page is written. Prometheus takes them from OpenMetrics only. The newest of each bucket is kept
over scrapes: there may be two who scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, Metric, MetricsData
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Exemplar, Sample

_NOWHERE: Final = set_span_in_context(INVALID_SPAN, Context())
"""Not an empty context: the SDK takes that for none, and the current one instead."""


def told_by(span: SpanContext | None) -> Context:
    """Return the context to record a value in, so that `span` is its exemplar, if it is sampled, and nothing else."""
    return _NOWHERE if span is None else set_span_in_context(NonRecordingSpan(span), Context())


class ExemplarReader(PrometheusMetricReader):
    """Prometheus's reader, with the exemplars of histograms without labels, in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry=registry)
        self._newest: dict[tuple[str, str], Exemplar] = {}  # by sample and bucket

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        super()._receive_metrics(metrics_data, timeout_millis, **kwargs)
        for metric in _metrics(metrics_data):
            if isinstance(metric.data, Histogram) and metric.unit == "s":
                for point in metric.data.data_points:
                    if not point.attributes:
                        self._note(f"{metric.name.replace('.', '_')}_seconds_bucket", point)

    def _note(self, sample: str, point: HistogramDataPoint) -> None:
        for exemplar in point.exemplars:
            if exemplar.trace_id is None or exemplar.span_id is None:
                continue
            index = bisect_left(point.explicit_bounds, exemplar.value)
            bound = str(point.explicit_bounds[index]) if index < len(point.explicit_bounds) else "+Inf"
            ids = {"trace_id": format_trace_id(exemplar.trace_id), "span_id": format_span_id(exemplar.span_id)}
            self._newest[sample, bound] = Exemplar(ids, exemplar.value, exemplar.time_unix_nano / 1e9)

    def put_back(self, families: Iterable[Family]) -> Iterator[Family]:
        """Yield the families with exemplars on their buckets."""
        for family in families:
            family.samples = [self._with_exemplar(sample) for sample in family.samples]
            yield family

    def _with_exemplar(self, sample: Sample) -> Sample:
        found = self._newest.get((sample.name, sample.labels.get("le", "")))
        return sample if found is None else sample._replace(exemplar=found)


def _metrics(data: MetricsData) -> Iterator[Metric]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics
