"""Published prices of recognizers, for the cost of what was heard and of an hour of calls."""

from __future__ import annotations

from typing import Final, NamedTuple


class PublishedPrice(NamedTuple):
    """Dollars for a minute of audio that a recognizer hears, with the date and source of the price."""

    per_minute: float
    source: str


AS_OF: Final = "2026-11-28"

_GOOGLE: Final = PublishedPrice(
    0.024, f"Google's list price of Speech-to-Text v1, {AS_OF}: https://cloud.google.com/speech-to-text/pricing"
)
_SONIOX: Final = PublishedPrice(
    0.002, f"Soniox's list price of real-time recognition, $0.12 an hour, {AS_OF}: https://soniox.com/pricing"
)
_PRICES: Final = (("google-v1/", _GOOGLE), ("single", _GOOGLE), ("soniox/", _SONIOX))
"""The prices by the beginning of a recognizer's name."""


def price_of(name: str) -> PublishedPrice | None:
    """Return the price of a recognizer; None for a server of the user's own, and where none is known."""
    return next((price for beginning, price in _PRICES if name.startswith(beginning)), None)
