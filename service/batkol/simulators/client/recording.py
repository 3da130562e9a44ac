"""A recording that the caller plays: sound of a WAV file of any usual rate, as the telephone carries it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batkol.audio.level import window_levels
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.errors import BatkolError
from batkol.voices.wav import to_phone
from batkol.voices.wav_header import WavError

LONGEST_S: Final = 600.0
FAINT_DBFS: Final = -45.0
"""A recording whose loudest 20 ms are below this is too quiet for a detector of speech."""

_WINDOW: Final = SAMPLE_RATE // 50
_BELOW_LOUDEST_DB: Final = 25.0
_FULL_SCALE: Final = float(1 << 15) ** 2
_SILENT_DBFS: Final = -100.0


class RecordingError(BatkolError):
    """The file cannot be played; the text says why, and how to convert it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Mu-law at 8 kHz. `begins` and `ends`: the samples between which it is loud, as a person sees it in an editor."""

    name: str
    mulaw: bytes
    begins: int
    ends: int
    loudest_dbfs: float

    @property
    def is_faint(self) -> bool:
        """Whether it is silent, or too quiet to be taken for speech."""
        return self.loudest_dbfs < FAINT_DBFS

    @property
    def level(self) -> str:
        """The loudness as a clause behind its name: `is silent`, or the loudest 20 ms."""
        if self.loudest_dbfs <= _SILENT_DBFS:
            return "is silent"
        return f"has {self.loudest_dbfs:.0f} dBFS in its loudest 20 ms"


def read_recording(path: Path) -> Recording:
    """Read a WAV file and convert it to the telephone's sound. Raises `RecordingError`."""
    try:
        mulaw = to_phone(path.read_bytes(), longest_s=LONGEST_S)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read ({error.strerror or type(error).__name__}).") from error
    except WavError as error:
        raise RecordingError(
            f"{path} cannot be played: {error}. Convert it: sox {path} -r 8000 -c 1 -b 16 -e signed-integer phone.wav"
        ) from error
    return recording(path.name, mulaw)


def recording(name: str, mulaw: bytes) -> Recording:
    """Make a recording of mu-law; find where it is loud."""
    levels = [_dbfs(level) for level in window_levels(mulaw[: len(mulaw) // _WINDOW * _WINDOW], _WINDOW)]
    loudest = max(levels, default=_SILENT_DBFS)
    loud = [number for number, level in enumerate(levels) if level >= loudest - _BELOW_LOUDEST_DB]
    if not loud:
        return Recording(name, mulaw, 0, len(mulaw), loudest)
    return Recording(name, mulaw, loud[0] * _WINDOW, (loud[-1] + 1) * _WINDOW, loudest)


def _dbfs(mean_square: float) -> float:
    return max(_SILENT_DBFS, 10 * math.log10(mean_square / _FULL_SCALE)) if mean_square > 0 else _SILENT_DBFS
