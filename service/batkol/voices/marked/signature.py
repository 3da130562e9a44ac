"""The in-band signature that marks each word of the synthetic voice, and the code book the double reads it by.

The speech itself is low-passed at 2.6 kHz. Above it, inside the telephone band, every word carries

    rising chirp (60 ms) · two-tone symbols of 20 ms each, no two neighbours alike · falling chirp (60 ms)

A symbol is one of 4 x 4 pairs of tones. The sequence is pseudo-random and each word's own, so it is a clock as much
as a name: a stretch of audio that is missing, doubled or moved leaves a symbol out of its place, and a word cut at
its edge lacks a chirp. Two equal words in a row have two rising chirps.

Everything is in samples at 8 kHz from the start of the word.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from batkol.audio.mulaw import SAMPLE_RATE

Samples = npt.NDArray[np.float64]

CHIRP: Final = 480
SYMBOL: Final = 160
LOW_HZ: Final = (2900, 3000, 3100, 3200)
HIGH_HZ: Final = (3350, 3450, 3550, 3650)
CHIRP_HZ: Final = (2880.0, 3670.0)
LEVEL: Final = 500.0
"""Amplitude of each of a symbol's two tones; a chirp has the same power. Speech peaks some 26 dB above it."""

_FADE: Final = 24  # 3 ms at the word's edges: a hard edge is a click across the whole band


def symbol_count(samples: int) -> int:
    """Return how many symbols a word needs for its signature to cover that many samples of speech."""
    return max(3, -(-(samples - 2 * CHIRP) // SYMBOL))


def length(symbols: int) -> int:
    """Return the samples of a signature with that many symbols."""
    return 2 * CHIRP + symbols * SYMBOL


@cache
def code(word: str, symbols: int) -> tuple[tuple[int, int], ...]:
    """Return the word's symbols as (low, high) tone numbers. Neighbours differ in both tones, next-but-ones in one."""
    draw = random.Random(f"{word}/{symbols}")
    chosen: list[tuple[int, int]] = []
    while len(chosen) < symbols:
        symbol = (draw.randrange(4), draw.randrange(4))
        if chosen and (symbol[0] == chosen[-1][0] or symbol[1] == chosen[-1][1]):
            continue
        if len(chosen) > 1 and symbol == chosen[-2]:
            continue
        chosen.append(symbol)
    return tuple(chosen)


def _phase(hz: npt.NDArray[np.float64]) -> Samples:
    return np.cumsum(hz) * (2 * np.pi / SAMPLE_RATE)


@cache
def rising() -> npt.NDArray[np.complex128]:
    """Return the analytic signal of the rising chirp; the falling one is its mirror in time."""
    sweep: npt.NDArray[np.complex128] = np.exp(1j * _phase(np.linspace(*CHIRP_HZ, CHIRP)))
    return sweep


def falling() -> npt.NDArray[np.complex128]:
    """Return the analytic signal of the falling chirp."""
    sweep: npt.NDArray[np.complex128] = np.exp(1j * _phase(np.linspace(*CHIRP_HZ[::-1], CHIRP)))
    return sweep


def signature(word: str, symbols: int) -> Samples:
    """Return the signature at its level, to be added to the speech."""
    tones = np.zeros(symbols * SYMBOL)
    sequence = np.array(code(word, symbols))
    for table, which in ((LOW_HZ, sequence[:, 0]), (HIGH_HZ, sequence[:, 1])):
        tones += np.cos(_phase(np.repeat(np.take(np.array(table, dtype=np.float64), which), SYMBOL)))
    parts = (np.sqrt(2) * rising().real, tones, np.sqrt(2) * falling().real)
    whole = LEVEL * np.concatenate(parts)
    fade = np.sin(np.linspace(0, np.pi / 2, _FADE)) ** 2
    whole[:_FADE] *= fade
    whole[-_FADE:] *= fade[::-1]
    return whole
