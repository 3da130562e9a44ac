"""The caller's mm-hm: a hum that the detector takes for speech, and in which the recognizer makes out no word."""

from __future__ import annotations

from typing import Final

import numpy as np

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS

MS: Final = 250
"""Length of the hum."""

_PITCH_HZ: Final = (150.0, 130.0, 170.0)  # at its beginning, its middle and its end
_FORMANTS: Final = ((600.0, 90.0), (1150.0, 110.0), (2500.0, 170.0))  # centre and bandwidth of a mouth's resonances, Hz
_HIGHEST_HZ: Final = 2600.0  # below the band in which the marked words have their marks
_DIP: Final = 0.75  # of the loudness, between mm and hm
_RISE_MS, _FALL_MS = 20, 50
_PEAK: Final = 9_000.0  # the marked words' is 10,000


def mm_hm() -> bytes:
    """Return the hum as mu-law: the harmonics of a pitch that falls and rises, through a mouth."""
    samples = MS * SAMPLES_PER_MS
    at = np.arange(samples) / samples
    pitch = np.interp(at, (0.0, 0.45, 1.0), _PITCH_HZ)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    sound = np.zeros(samples)
    for harmonic in range(1, int(_HIGHEST_HZ / min(_PITCH_HZ)) + 1):
        hz = harmonic * pitch
        gain = sum(
            0.45**order / np.sqrt(1 + ((hz - centre) / (width / 2)) ** 2)
            for order, (centre, width) in enumerate(_FORMANTS)
        )
        sound += gain / harmonic * (hz < _HIGHEST_HZ) * np.sin(harmonic * phase + harmonic**2)
    ms = at * MS
    sound *= np.minimum(1, ms / _RISE_MS) * np.minimum(1, (MS - ms) / _FALL_MS)
    sound *= 1 - _DIP * np.exp(-(((at - 0.45) * MS / 20) ** 2))
    return mulaw.encode(np.round(sound * (_PEAK / np.abs(sound).max())).astype(np.int16))
