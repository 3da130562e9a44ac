"""The recordings that `make sounds` unpacks: human voices and music on hold at 8 kHz, out of Debian's packages."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

import numpy as np

from batkol.audio.mulaw import SAMPLE_RATE, Pcm

SOUNDS: Final = Path(__file__).resolve().parents[3] / ".tools" / "sounds"


class SoundsMissingError(Exception):
    """A package of sounds is not unpacked."""


def package(name: str, folder: Path = SOUNDS) -> Path:
    """Return where a package's sounds are. Raises `SoundsMissingError`."""
    if not (folder / name / ".sounds").exists():
        raise SoundsMissingError(f"{folder} has no sounds of {name}: run `make sounds`, which fetches them")
    return folder / name


def read(file: Path) -> Pcm:
    """Return the samples of a WAV file. Raises `ValueError` unless it is mono LINEAR16 at 8 kHz."""
    with wave.open(str(file)) as opened:
        found = (opened.getframerate(), opened.getnchannels(), opened.getsampwidth())
        if found != (SAMPLE_RATE, 1, 2):
            raise ValueError(f"{file} has rate, channels and bytes a sample {found}, not {(SAMPLE_RATE, 1, 2)}")
        return np.frombuffer(opened.readframes(opened.getnframes()), "<i2").astype(np.int16)
