"""The level of stretches of audio: the mean square of their amplitudes."""

from __future__ import annotations

from typing import Final

import numpy as np

from batkol.audio import mulaw

_SQUARES: Final = mulaw.TABLE.astype(np.float64) ** 2
"""Whole numbers, as are their sums: a level does not depend on the order in which they are added."""


def window_levels(audio: bytes, window: int) -> list[float]:
    """Return the mean square of each window of `window` samples; the mu-law is whole windows, any number.

    10 dB are a factor of 10; the square root is the RMS.
    """
    codes = np.frombuffer(audio, np.uint8)
    squares = _SQUARES.take(codes, mode="clip").reshape(-1, window)  # no code is beyond the table
    return [total / window for total in squares.sum(axis=1).tolist()]
