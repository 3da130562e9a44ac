"""Human speech with its true beginnings and ends: prompts that five speakers recorded in studios.

What is true is found by energy: from the first 10 ms to the last that are at most 30 dB below the loudest of the
recording (the 95th percentile of its 10 ms). Studio recordings have noise that is far lower.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from batkol.audio.mulaw import SAMPLES_PER_MS, Pcm
from support.speech.clip import Clip
from support.speech.sounds import SOUNDS, package, read

VOICES: Final = ("en", "ru", "fr", "es", "it")
"""Languages of the packages, one speaker each: four women and a man (it)."""

UTTERANCES: Final = 242
"""Utterances that docs/vad.md was measured with."""

_STEP: Final = 10 * SAMPLES_PER_MS
_BELOW_DB: Final = 30.0
_AROUND: Final = 200 * SAMPLES_PER_MS  # what a clip keeps of the recording's own quiet on each side
_NO_SPEECH: Final = {  # chimes and monkeys among the prompts
    "ascending-2tone", "beep", "beeperr", "confbridge-join", "confbridge-leave", "descending-2tone", "tt-monkeys",
}  # fmt: skip
_LONGEST_PAUSE_MS: Final = 400  # with a longer one in it a recording is two utterances


class Spoken(NamedTuple):
    """Where a recording has speech, in samples, and its longest pause in ms."""

    begin: int
    end: int
    pause_ms: float


def spoken(pcm: Pcm) -> Spoken | None:
    """Return where speech begins and ends by energy; None if there is nothing but silence."""
    steps = pcm[: len(pcm) // _STEP * _STEP].reshape(-1, _STEP).astype(np.float64)
    energy = np.sqrt(np.mean(steps**2, axis=1))
    if not energy.any():
        return None
    loud = np.flatnonzero(energy >= np.percentile(energy[energy > 0], 95) * 10 ** (-_BELOW_DB / 20))
    pause = int(np.diff(loud).max(initial=1)) - 1
    return Spoken(int(loud[0]) * _STEP, int(loud[-1] + 1) * _STEP, pause * _STEP / SAMPLES_PER_MS)


@cache
def utterances(count: int = UTTERANCES, *, seed: int = 1, folder: Path = SOUNDS) -> tuple[Clip, ...]:
    """Draw recordings of 0.5 to 7 s with no pause of 400 ms in them, of the five voices by turns.

    Raises `SoundsMissingError`, and `ValueError` if there are fewer.
    """
    draw = random.Random(seed)
    found = [_drawn(voice, draw, 500, 7000, folder) for voice in VOICES]
    return tuple(_next(found[each % len(VOICES)]) for each in range(count))


@cache
def short_sounds(*, longest_ms: int = 350, folder: Path = SOUNDS) -> tuple[Clip, ...]:
    """Return all letters, digits and particles of at most `longest_ms`: as short as a mm-hm, and human.

    Raises `SoundsMissingError`.
    """
    return tuple(clip for voice in VOICES for clip in _clips(voice, "*/*.wav", 100, longest_ms, folder))


def _drawn(voice: str, draw: random.Random, shortest_ms: int, longest_ms: int, folder: Path) -> Iterator[Clip]:
    files = sorted(package(f"asterisk-core-sounds-{voice}-wav", folder).glob("sounds/*/*.wav"))
    draw.shuffle(files)
    return (clip for file in files if (clip := _clip(voice, file, shortest_ms, longest_ms)) is not None)


def _clips(voice: str, pattern: str, shortest_ms: int, longest_ms: int, folder: Path) -> Iterator[Clip]:
    root = package(f"asterisk-core-sounds-{voice}-wav", folder)
    for file in sorted(root.glob(f"sounds/*/{pattern}")):
        if file.parent.name != "silence" and (clip := _clip(voice, file, shortest_ms, longest_ms)) is not None:
            yield clip


def _clip(voice: str, file: Path, shortest_ms: int, longest_ms: int) -> Clip | None:
    pcm = read(file)
    found = None if file.stem in _NO_SPEECH else spoken(pcm)
    if found is None or found.pause_ms >= _LONGEST_PAUSE_MS:
        return None
    if not shortest_ms * SAMPLES_PER_MS <= found.end - found.begin <= longest_ms * SAMPLES_PER_MS:
        return None
    first = max(0, found.begin - _AROUND)
    name = f"{voice} {file.parent.name if file.parent.parent.name != 'sounds' else ''}/{file.stem}"
    return Clip(name, pcm[first : found.end + _AROUND], found.begin - first, found.end - first)


def _next(clips: Iterator[Clip]) -> Clip:
    for clip in clips:
        return clip
    raise ValueError("the packages have fewer such recordings: ask for fewer")
