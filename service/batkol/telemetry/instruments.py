"""Instruments that the media path can afford: a counter and a histogram of plain numbers, read at a scrape.

A counter of OpenTelemetry's SDK builds and hashes a set of attributes, reads a clock and takes a lock for every value;
for four values an utterance that was a tenth of the cost of all telemetry. A histogram of the SDK, with its views,
attributes, reservoirs and locks, takes twenty times as long as this one for each value.

Exemplars, the trace of the newest utterance that fell into a bucket, come out on /metrics (Prometheus reads them from
OpenMetrics only) and by OTLP. The newest stays over scrapes, because two programs may scrape.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import SpanContext, format_span_id, format_trace_id
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

_BARE: Final[Mapping[str, str]] = {}


class Counts:
    """One counter and its series. Written on the event loop only, read at a scrape."""

    def __init__(self, meter: Meter, name: str, unit: str, description: str) -> None:
        self._series: dict[tuple[tuple[str, str], ...], float] = {}
        meter.create_observable_counter(name, callbacks=[self._observe], unit=unit, description=description)

    def add(self, amount: float, attributes: Mapping[str, str] = _BARE) -> None:
        """Count. The attributes of one counter come in one order; a series begins with its first `add`, be it of 0."""
        series = tuple(attributes.items())
        self._series[series] = self._series.get(series, 0) + amount

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(amount, dict(series)) for series, amount in list(self._series.items())]


class Example(NamedTuple):
    """The newest value in a bucket whose trace is exported. Wall time in nanoseconds."""

    seconds: float
    at: int
    span: SpanContext


class Buckets:
    """Seconds, by upper bounds. Written on the event loop only, read at a scrape."""

    def __init__(self, bounds: Sequence[float], *, exemplars: bool = True) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)
        self._exemplars = exemplars
        self._examples: dict[int, Example] = {}

    def record(self, seconds: float, span: SpanContext | None = None) -> None:
        """Count a value; `span` is its exemplar, if it is sampled."""
        bucket = bisect_left(self.bounds, seconds)
        self._counts[bucket] += 1
        self.sum += seconds
        if span is not None and self._exemplars and span.trace_flags.sampled:
            self._examples[bucket] = Example(seconds, time.time_ns(), span)

    @property
    def counts(self) -> list[int]:
        """Values in each bucket; the last one is for all above the bounds."""
        return list(self._counts)

    def examples(self) -> list[Example]:
        """Return the newest of each bucket that has any."""
        return list(self._examples.values())

    def cumulative(self) -> Iterator[tuple[str, float] | tuple[str, float, Exemplar]]:
        """Yield the buckets as Prometheus has them."""
        bounds = (*map(str, self.bounds), "+Inf")
        for bucket, count in enumerate(accumulate(self._counts)):
            found = self._examples.get(bucket)
            if found is None:
                yield bounds[bucket], count
                continue
            ids = {"trace_id": format_trace_id(found.span.trace_id), "span_id": format_span_id(found.span.span_id)}
            yield bounds[bucket], count, Exemplar(ids, found.seconds, found.at / 1e9)


class Histogram(Collector):
    """A histogram and its series, by the values of its labels; without labels it has one series.

    `name` is OpenTelemetry's, without the unit. The values of its labels are few.
    """

    def __init__(
        self,
        name: str,
        description: str,
        bounds: Sequence[float],
        *,
        labels: Sequence[str] = (),
        exemplars: bool = True,
    ) -> None:
        self.name = name
        self.description = description
        self.bounds = bounds
        self.labels = labels
        self._exemplars = exemplars
        self.series: dict[tuple[str, ...], Buckets] = {}
        if not labels:
            self.of()

    def of(self, *values: str) -> Buckets:
        """Return the series with these values of the labels."""
        found = self.series.get(values)
        if found is None:
            found = self.series[values] = Buckets(self.bounds, exemplars=self._exemplars)
        return found

    def record(self, seconds: float, span: SpanContext | None = None, values: tuple[str, ...] = ()) -> None:
        """Count a value in the series with these values of the labels; see `Buckets.record`."""
        self.of(*values).record(seconds, span)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        name = f"{self.name.replace('.', '_')}_seconds"
        family = HistogramMetricFamily(name, self.description, labels=self.labels)
        for values, buckets in list(self.series.items()):
            family.add_metric(values, list(buckets.cumulative()), buckets.sum)
        yield family
