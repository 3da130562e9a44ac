"""WAV as it is written: the header of a stream of unknown length, and whole files of 16-bit samples."""

from __future__ import annotations

import struct
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE

_PCM, _MULAW = 1, 7  # format tags of RFC 2361
_UNKNOWN: Final = 0xFFFF_FFFF  # the length that servers write into the header of a WAV that they stream


def wav_header(rate: int, *, channels: int = 1, size: int | None = None) -> bytes:
    """Return the header of 16-bit samples. `size`: the bytes of them; None: of a stream, which has no end so far."""
    return _header(_PCM, rate, channels, width=2, size=size)


def mulaw_header() -> bytes:
    """Return the header of a stream of mu-law, as a telephone has it."""
    return _header(_MULAW, SAMPLE_RATE, 1, width=1, size=None)


def wav_file(samples: bytes, rate: int = SAMPLE_RATE, *, channels: int = 1) -> bytes:
    """Return a file of 16-bit samples, little endian; those of several channels take turns."""
    return wav_header(rate, channels=channels, size=len(samples)) + samples


def _header(tag: int, rate: int, channels: int, *, width: int, size: int | None) -> bytes:
    frame = width * channels
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * frame, frame, 8 * width)
    riff, data = (_UNKNOWN, _UNKNOWN) if size is None else (36 + size, size)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", data)
