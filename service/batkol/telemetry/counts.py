"""A counter that the media path can afford: plain numbers, which OpenTelemetry reads at a scrape.

A counter of the SDK's builds and hashes a set of attributes, looks a clock up and takes a lock for every one that is
counted; for four an utterance that was a tenth of what all of its telemetry costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

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
