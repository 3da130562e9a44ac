"""A histogram for the media path, which records many times a second and call: an OpenTelemetry instrument, with its
views, attributes and locks, takes twenty times as long.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Buckets(Collector):
    """Seconds, by upper bounds. Written on the event loop only, read at a scrape. `name` is OpenTelemetry's, without
    the unit.
    """

    def __init__(self, name: str, description: str, bounds: Sequence[float]) -> None:
        self.name = name
        self.description = description
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def record(self, seconds: float) -> None:
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    @property
    def counts(self) -> list[int]:
        """How many fell into each bucket, the last one being all above the bounds."""
        return list(self._counts)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        bounds = (*map(str, self.bounds), "+Inf")
        cumulative = list(zip(bounds, accumulate(self._counts), strict=True))
        name = f"{self.name.replace('.', '_')}_seconds"
        yield HistogramMetricFamily(name, self.description, buckets=cumulative, sum_value=self.sum)
