"""Synthetic backchannels, mm-hm and its like: no package has recordings of them.

A hum is voiced: harmonics of a pitch that moves, weighed by the resonances of a closed mouth (mm) or an open one
(uh-huh), in two halves with a breath between them, in the band of a telephone. Silero takes about half of them for
speech. The strict test is human: `murmurs.py` and `human.short_sounds` have human sounds of the same length, and it
hears nearly all of those.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from support.speech.clip import Clip, Signal, at_level, whole


class _Mouth(NamedTuple):
    formants: tuple[tuple[float, float], ...]
    """Centre and bandwidth of each resonance, in Hz."""
    dip: float
    """Hz at which the nose swallows sound; 0 for none."""


_NASAL: Final = _Mouth(((260, 60), (1050, 200), (2200, 250), (3000, 300)), 750)
_OPEN: Final = _Mouth(((600, 90), (1150, 110), (2500, 170), (3300, 250)), 0)
_HIGHEST: Final = 3500.0


@cache
def mm_hms(count: int = 100, *, seed: int = 1) -> tuple[Clip, ...]:
    """Return `count` different ones of 150 to 350 ms: three of five mm-hm, one mm, one uh-huh; all seeded."""
    draw = np.random.default_rng(seed)
    made = []
    for each in range(count):
        ms = float(draw.uniform(150, 350))
        halves, mouth, name = ((2, _NASAL, "mm-hm"), (1, _NASAL, "mm"), (2, _OPEN, "uh-huh"))[(0, 0, 0, 1, 2)[each % 5]]
        made.append(whole(f"{name} {ms:.0f} ms", _hum(draw, round(ms * SAMPLES_PER_MS), halves, mouth)))
    return tuple(made)


def _hum(draw: np.random.Generator, samples: int, halves: int, mouth: _Mouth) -> Signal:
    """Return one hum, 18 to 30 dB below full scale: callers of `human` speak at 18 to 20."""
    pitch = _pitch(draw, samples, halves)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    harmonics = range(1, int(_HIGHEST / pitch.min()) + 1)
    voiced = np.zeros(samples)
    for harmonic in harmonics:
        frequency = harmonic * pitch
        part = _gain(frequency, mouth) / harmonic * (frequency < _HIGHEST)
        voiced += part * np.sin(harmonic * phase + draw.uniform(0, 2 * np.pi))
    envelope, breath = _envelope(draw, samples, halves)
    noise = draw.normal(0, 1, samples) * voiced.std()
    sound = voiced * envelope + noise * (0.02 * envelope + 0.08 * breath)
    return at_level(sound, -float(draw.uniform(18, 30)))


def _pitch(draw: np.random.Generator, samples: int, halves: int) -> Signal:
    """Return Hz at each sample: a man's or a woman's, falling and then rising, with a little jitter."""
    base, at = float(draw.uniform(85, 250)), np.linspace(0, 1, samples)
    fall, rise = draw.uniform(0.0, 0.15), draw.uniform(-0.1, 0.35)
    contour = 1 - fall * np.sin(np.pi * np.minimum(1, 2 * at)) + rise * np.maximum(0, at - 0.4) * (halves - 0.5)
    steps = np.arange(0, samples + 80, 80)  # each 10 ms
    jitter = np.interp(np.arange(samples), steps, draw.normal(0, 0.01, len(steps)))
    return np.asarray(base * contour * (1 + jitter))


def _gain(frequency: Signal, mouth: _Mouth) -> Signal:
    """Return how much of each frequency comes through mouth, nose and telephone."""
    gain = np.zeros_like(frequency)
    for order, (centre, width) in enumerate(mouth.formants):
        gain += 0.45**order / np.sqrt(1 + ((frequency - centre) / (width / 2)) ** 2)
    if mouth.dip:
        gain *= 1 - 0.9 / np.sqrt(1 + ((frequency - mouth.dip) / 100) ** 2)
    return np.asarray(gain / np.sqrt(1 + (220 / frequency) ** 4))


def _envelope(draw: np.random.Generator, samples: int, halves: int) -> tuple[Signal, Signal]:
    """Return the loudness of the voice and of the breath in the middle, at each sample."""
    at = np.arange(samples) / SAMPLES_PER_MS
    rise, fall = float(draw.uniform(15, 30)), float(draw.uniform(35, 70))
    loud = np.minimum(1, at / rise) * np.minimum(1, (at[-1] - at) / fall)
    breath = np.zeros(samples)
    if halves == 2:
        centre, width = at[-1] * draw.uniform(0.4, 0.5), float(draw.uniform(15, 30))
        breath = np.exp(-(((at - centre) / width) ** 2))
        loud *= 1 - (1 - 10 ** (-draw.uniform(12, 25) / 20)) * breath
    return loud, breath
