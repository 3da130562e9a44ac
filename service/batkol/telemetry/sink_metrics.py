"""The metric of the sinks that is recorded; the others are read of them at a scrape."""

from __future__ import annotations

from typing import Final

from batkol.telemetry.instruments import Histogram

DELIVERY_S: Final = (
    0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0,
)  # fmt: skip
"""Bounds in seconds: fine around the 0.5 s of a healthy receiver, coarse to a day for one that was down."""


def sink_delivery(*, exemplars: bool) -> Histogram:
    """Return the histogram of the time until a sink's receiver has an event, by the sink's name of the settings."""
    return Histogram(
        "batkol.sink.delivery",
        "Time from an event to its receiver's word that it has the event, in seconds, by sink.",
        DELIVERY_S,
        labels=("sink",),
        exemplars=exemplars,
    )
