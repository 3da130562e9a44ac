"""Music on hold, and a television: speech of a voice that is not the caller's, with music under it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from support.speech.clip import Clip, rms, to_pcm, whole
from support.speech.human import utterances
from support.speech.sounds import SOUNDS, package, read

PIECES: Final = 5
TELEVISION_DB: Final = 20.0
"""Decibels by which a television is quieter than the caller."""

_FROM: Final = 10 * SAMPLE_RATE  # some pieces fade in
_LEVEL: Final = 3000.0  # RMS, far from clipping
_MUSIC_UNDER_DB: Final = 10.0  # music below the television's speech


@cache
def pieces(seconds: float = 60, *, folder: Path = SOUNDS) -> tuple[Clip, ...]:
    """Return the five pieces of music on hold, each from its tenth second on, as loud as they were recorded.

    Raises `SoundsMissingError`, and `ValueError` if a piece is shorter.
    """
    samples = int(seconds * SAMPLE_RATE)
    found = []
    for file in sorted(package("asterisk-moh-opsound-wav", folder).glob("moh/*.wav")):
        pcm = read(file)[_FROM : _FROM + samples]
        if len(pcm) < samples:
            raise ValueError(f"{file} has no {seconds} s after its tenth: ask for less")
        found.append(Clip(file.stem, pcm, 0, samples))
    return tuple(found)


def music(samples: int, *, folder: Path = SOUNDS) -> Clip:
    """Return that many samples of music: piece after piece, each equally loud, and again from the first."""
    found = [piece.pcm / rms(piece.pcm) for piece in pieces(folder=folder)]
    return whole("music", np.resize(np.concatenate(found), samples) * _LEVEL)


@cache
def television(seconds: float = 60, *, below_db: float = TELEVISION_DB, folder: Path = SOUNDS) -> Clip:
    """Return a television at `below_db` less than the callers of `human`: speech nearly without a pause, and music.

    The speech is of the Italian voice, with 300 ms between two sentences. Raises `SoundsMissingError`.
    """
    samples = int(seconds * SAMPLE_RATE)
    pause = np.zeros(300 * SAMPLES_PER_MS)
    said = [clip for clip in utterances(folder=folder) if clip.name.startswith("it ")]
    talk = np.concatenate([part for clip in said for part in (clip.pcm[clip.begin : clip.end].astype(float), pause)])
    under = rms(talk) / 10 ** (_MUSIC_UNDER_DB / 20) / _LEVEL
    mixed = np.resize(talk, samples) + music(samples, folder=folder).pcm * under
    return Clip("television", to_pcm(mixed * 10 ** (-below_db / 20)), 0, samples)
