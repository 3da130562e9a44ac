"""The signature's band as a complex signal at 1 kHz, and the chirps found in it block by block.

A band-pass FIR with decimation by eight leaves the 2.83–3.72 kHz band unambiguous (it is less than 1 kHz wide), so a
matched filter for a 60 ms chirp is 60 products a millisecond instead of 480 a sample.

Every block is computed from arrays of the same shapes, whatever the sizes in which the audio came: the same audio
gives the same answer to the last bit. The arrays and the windows on them are made once for a stream; making windows
anew for each block cost three times the arithmetic.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.marked.signature import CHIRP, LEVEL, falling, rising

BLOCK: Final = 800
"""Samples looked at together: 100 ms, a compromise between work a second and the age of what is heard."""
CELL: Final = 80
"""Samples over which activity is measured: 10 ms."""
FLOOR: Final = (0.25 * LEVEL) ** 2 * 2
"""Power in the band, at a quarter of the signature's amplitude, below which it is quiet."""

_STEP: Final = 8  # 8 kHz to 1 kHz
_TAPS: Final = 128
_DELAY: Final = 60  # samples by which band point m lags behind sample 8 m: half the filter, less half a step
_CHIRP: Final = CHIRP // _STEP
_NEAR: Final = 15  # ms around a correlation peak in which no other counts
_NEW: Final = BLOCK // _STEP
_LIKENESS: Final = 0.18  # squared correlation that may be a chirp: the words' own symbols stay below it
_CLEAR: Final = 0.25  # one that must be: white noise reaches this once in some minutes

Floats = npt.NDArray[np.float32]
Complexes = npt.NDArray[np.complex64]


def _bandpass() -> Floats:
    k = np.arange(_TAPS) - (_TAPS - 1) / 2
    half, centre = 450.0, 3275.0
    low = np.sinc(2 * half / SAMPLE_RATE * k) * np.hamming(_TAPS)
    taps = low / low.sum() * np.exp(2j * np.pi * centre / SAMPLE_RATE * k) * 2
    return np.stack([taps[::-1].real, taps[::-1].imag], axis=1).astype(np.float32)


def _templates() -> Complexes:
    both = np.stack([rising()[_STEP // 2 :: _STEP], falling()[_STEP // 2 :: _STEP]], axis=1)
    return np.conj(both).astype(np.complex64)


_FILTER: Final = _bandpass()
_CHIRPS: Final = _templates()
_MEAN: Final = np.full(CELL // _STEP, _STEP / CELL, dtype=np.float32)


class Chirp(NamedTuple):
    """A possible chirp that begins at the absolute sample `place`, true to half a millisecond."""

    place: int
    rise: bool
    clear: bool
    """Whether it cannot be noise."""


class Findings(NamedTuple):
    """The findings of one block."""

    chirps: list[Chirp]
    cells: Floats
    """Mean power of each `CELL`."""
    first_cell: int
    """The place of the first `CELL`."""


class Band:
    """Follows one stream of samples, a block at a time."""

    __slots__ = ("_at", "_energy", "_likeness", "_raw", "_raw_rows", "_z", "_z_rows")

    def __init__(self) -> None:
        self._at = 0  # absolute sample at which the next block begins
        self._raw = np.zeros(BLOCK + _TAPS - _STEP, dtype=np.float32)
        self._raw_rows = sliding_window_view(self._raw, _TAPS)[::_STEP]
        self._z = np.zeros(_NEW + _CHIRP - 1, dtype=np.complex64)
        self._z_rows = sliding_window_view(self._z, _CHIRP)
        self._energy = np.zeros(_NEW + _CHIRP, dtype=np.float32)
        self._likeness = np.zeros((_NEW + 2 * _NEAR, 2), dtype=np.float32)

    def block(self, samples: Floats) -> Findings:
        """Take the next `BLOCK` samples."""
        raw, z, energy, likeness = self._raw, self._z, self._energy, self._likeness
        raw[:-BLOCK] = raw[BLOCK:]
        raw[-BLOCK:] = samples
        z[:-_NEW] = z[_NEW:]
        z[-_NEW:] = (np.ascontiguousarray(self._raw_rows) @ _FILTER).view(np.complex64)[:, 0]
        energy[:-_NEW] = energy[_NEW:]
        fresh = z[-_NEW:]
        energy[-_NEW:] = fresh.real**2 + fresh.imag**2
        likeness[:-_NEW] = likeness[_NEW:]
        likeness[-_NEW:] = self._correlate() if energy.max() > FLOOR / 4 else 0
        first, self._at = self._at, self._at + BLOCK
        cells = energy[-_NEW:].reshape(-1, CELL // _STEP) @ _MEAN
        chirps = self._chirps(first) if likeness.max() > _LIKENESS else []
        return Findings(chirps, cells, first - _DELAY)

    def _chirps(self, first: int) -> list[Chirp]:
        base = first - _DELAY - _STEP // 2 - (_CHIRP - 1 + 2 * _NEAR) * _STEP
        found = []
        for rise, likeness in ((True, self._likeness[:, 0]), (False, self._likeness[:, 1])):
            found += [Chirp(base + i * _STEP, rise, bool(likeness[i] > _CLEAR)) for i in _peaks(likeness)]
        return sorted(found)

    def _correlate(self) -> Floats:
        match = np.ascontiguousarray(self._z_rows) @ _CHIRPS
        total = np.cumsum(self._energy)
        whole = np.maximum(total[_CHIRP:] - total[:-_CHIRP], _CHIRP * FLOOR)
        alike: Floats = (match.real**2 + match.imag**2) / (_CHIRP * whole)[:, None]
        return alike


def _peaks(likeness: Floats) -> list[int]:
    found = []
    for i in np.flatnonzero(likeness > _LIKENESS).tolist():  # a handful of points around each chirp
        settled = _NEAR <= i < _NEAR + _NEW
        if settled and likeness[i] >= likeness[i - _NEAR : i + _NEAR + 1].max():
            found.append(i)
    return found
