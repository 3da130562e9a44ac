"""A piece of sound at 8 kHz that knows where in it something is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLES_PER_MS, Pcm

Signal = npt.NDArray[np.float64]

_FULL_SCALE: Final = 32768.0


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Sound, and the samples [begin, end) of it that are heard; the rest is quiet."""

    name: str
    pcm: Pcm
    begin: int
    end: int

    @property
    def mulaw(self) -> bytes:
        """All of it as a phone line carries it."""
        return mulaw.encode(self.pcm)

    @property
    def ms(self) -> float:
        """Length of what is heard, in ms."""
        return (self.end - self.begin) / SAMPLES_PER_MS

    def quieter(self, db: float) -> Clip:
        """Return the same sound at `db` less."""
        return Clip(self.name, to_pcm(self.pcm.astype(np.float64) * 10 ** (-db / 20)), self.begin, self.end)


def to_pcm(signal: Signal) -> Pcm:
    """Round to int16, clipping what is too loud."""
    return np.clip(np.round(signal), -32768, 32767).astype(np.int16)


def whole(name: str, signal: Signal) -> Clip:
    """Return a clip that is heard from its first sample to its last."""
    return Clip(name, to_pcm(signal), 0, len(signal))


def rms(signal: Signal | Pcm | Sequence[float]) -> float:
    """Return the root mean square, in units of int16."""
    return float(np.sqrt(np.mean(np.square(np.asarray(signal, dtype=np.float64)))))


def at_level(signal: Signal, dbfs: float) -> Signal:
    """Scale to that many dB of RMS relative to full scale."""
    return np.asarray(signal * (_FULL_SCALE * 10 ** (dbfs / 20) / rms(signal)))
