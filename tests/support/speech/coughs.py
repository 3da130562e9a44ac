"""Synthetic coughs and clicks: no package has recordings of them.

A cough is a burst of coloured noise as the glottis opens, less noise after it, and a second burst, half voiced; 100
to 300 ms in all. A click is a resonance that is struck once: a pen, a receiver, a lip.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from support.speech.clip import Clip, Signal, at_level, whole


@cache
def coughs(count: int = 100, *, seed: int = 1) -> tuple[Clip, ...]:
    """Return `count` different coughs of 100 to 300 ms, 18 to 32 dB below full scale, all seeded."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        ms = float(draw.uniform(100, 300))
        sound = at_level(_cough(draw, round(ms * SAMPLES_PER_MS)), -float(draw.uniform(18, 32)))
        made.append(whole(f"cough {ms:.0f} ms", sound))
    return tuple(made)


@cache
def clicks(count: int = 100, *, seed: int = 1) -> tuple[Clip, ...]:
    """Return `count` different clicks of 5 to 40 ms, 18 to 34 dB below full scale, all seeded; some are double."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        ms = float(draw.uniform(5, 40))
        samples = round(ms * SAMPLES_PER_MS)
        at = np.arange(samples) / SAMPLE_RATE
        sound = np.exp(-5 * at / at[-1]) * np.sin(2 * np.pi * draw.uniform(700, 3200) * at)
        sound += np.exp(-9 * at / at[-1]) * draw.normal(0, 0.5, samples)
        if draw.random() < 0.3:
            sound[samples // 2 :] += 0.7 * sound[: samples - samples // 2]
        made.append(whole(f"click {ms:.0f} ms", at_level(sound, -float(draw.uniform(18, 34)))))
    return tuple(made)


def _cough(draw: np.random.Generator, samples: int) -> Signal:
    at = np.arange(samples) / samples
    second = float(draw.uniform(0.5, 0.65))  # where the second burst begins
    first = np.minimum(1, at * samples / (4 * SAMPLES_PER_MS)) * np.exp(-at / draw.uniform(0.12, 0.2))
    hiss = 0.12 * np.sin(np.pi * at)
    later = np.sin(np.pi * np.clip((at - second) / (1 - second), 0, 1)) * draw.uniform(0.2, 0.5)
    noise = _coloured(draw, samples)
    pitch = draw.uniform(110, 280) * (1 - 0.3 * at)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = sum((np.sin(k * phase + draw.uniform(0, 6)) / k**0.7 for k in range(2, 12)), np.zeros(samples))
    voiced = float(draw.uniform(0, 0.7))
    return np.asarray(noise * (first + hiss + later * (1 - voiced)) + voice / voice.std() * later * voiced)


def _coloured(draw: np.random.Generator, samples: int) -> Signal:
    """Return noise with a throat's broad resonances, within the band of a telephone; variance 1."""
    spectrum = np.fft.rfft(draw.normal(0, 1, samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    gain = 1 / np.sqrt(1 + ((frequency - draw.uniform(500, 1100)) / 400) ** 2)
    gain += 0.6 / np.sqrt(1 + ((frequency - draw.uniform(1500, 2500)) / 500) ** 2)
    gain *= (frequency > 250) & (frequency < 3500)
    noise = np.fft.irfft(spectrum * gain, samples)
    return np.asarray(noise / noise.std())
