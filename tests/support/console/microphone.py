"""What the browser's microphone hears: a WAV file of the built-in voice."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.marked.voice import script

LEAD_MS: Final = 2500
"""Quiet before the words: the microphone opens first, and then the call is placed."""


def write(file: Path, spoken: bytes) -> Path:
    """Write mu-law as a WAV file in 16 bits; return the file."""
    with wave.open(str(file), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(SAMPLE_RATE)
        opened.writeframes(mulaw.decode(spoken).astype("<i2").tobytes())
    return file


def quiet(folder: Path) -> Path:
    """A microphone in a quiet room, which has a clock of its own: what the caller says comes by the page's buttons."""
    return write(folder / "quiet.wav", script([], lead_ms=60_000).mulaw)
