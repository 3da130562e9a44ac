"""Human sounds as short as a mm-hm: stretches of a human voice that are voiced from beginning to end.

They are cut out of sentences and faded in and out, so that they have a human pitch, human resonances and no word: as
near to a backchannel as recordings without one come, and harder for a detector to leave alone than a synthetic hum.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from support.speech.clip import Clip, Signal, whole
from support.speech.human import UTTERANCES, utterances
from support.speech.sounds import SOUNDS

SHORTEST_MS: Final = 150
LONGEST_MS: Final = 350

_FRAME: Final = 30 * SAMPLES_PER_MS
_HOP: Final = 10 * SAMPLES_PER_MS
_LAGS: Final = slice(SAMPLE_RATE // 350, SAMPLE_RATE // 75)  # of a pitch of 75 to 350 Hz
_VOICED: Final = 0.6  # of the energy comes again a period later
_LOUD_DB: Final = 15.0  # at most so much below the loudest frame


@cache
def murmurs(count: int = 100, *, seed: int = 1, folder: Path = SOUNDS) -> tuple[Clip, ...]:
    """Return `count` stretches of 150 to 350 ms of the five voices; all seeded.

    Raises `SoundsMissingError`, and `ValueError` if the recordings have fewer.
    """
    draw = random.Random(seed)
    stretches = list(_stretches(seed, folder))
    draw.shuffle(stretches)
    found: list[Clip] = []
    for ms in sorted((draw.randint(SHORTEST_MS, LONGEST_MS) for _ in range(count)), reverse=True):
        samples = ms * SAMPLES_PER_MS
        enough = next((each for each, (_, pcm) in enumerate(stretches) if len(pcm) >= samples), None)
        if enough is None:
            raise ValueError(f"the recordings have fewer than {count} such stretches: ask for fewer")
        name, pcm = stretches.pop(enough)
        found.append(whole(f"murmur of {name} {ms} ms", _faded(pcm[:samples])))
    draw.shuffle(found)
    return tuple(found)


@cache
def _stretches(seed: int, folder: Path) -> tuple[tuple[str, Signal], ...]:
    """Return the name and the sound of every stretch of the recordings that `human.utterances` draws."""
    said = ((clip.name, clip.pcm.astype(np.float64)) for clip in utterances(UTTERANCES, seed=seed, folder=folder))
    return tuple((name, pcm[begin:end]) for name, pcm in said for begin, end in _voiced(pcm))


def _voiced(pcm: Signal) -> Iterator[tuple[int, int]]:
    """Yield the stretches of at least 150 ms in which every frame is loud and has a pitch."""
    frames = np.lib.stride_tricks.sliding_window_view(pcm, _FRAME)[::_HOP]
    energy = np.sum(frames**2, axis=1) + 1
    spectrum = np.fft.rfft(frames, 2 * _FRAME, axis=1)
    again = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, _LAGS].max(axis=1)
    good = (again / energy > _VOICED) & (energy > energy.max() * 10 ** (-_LOUD_DB / 10))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    for first, after in edges.reshape(-1, 2).tolist():
        begin, end = first * _HOP, (after - 1) * _HOP + _FRAME
        if end - begin >= SHORTEST_MS * SAMPLES_PER_MS:
            yield begin, end


def _faded(signal: Signal) -> Signal:
    """Fade in over 15 ms and out over 35 ms."""
    at = np.arange(len(signal)) / SAMPLES_PER_MS
    return np.asarray(signal * np.minimum(1, at / 15) * np.minimum(1, (at[-1] - at) / 35))
