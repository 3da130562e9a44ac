"""The sound of the voice double: marked words at 24 kHz, which are still read after they were brought to 8 kHz."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

import numpy as np
import soxr

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.builtin import sound

RATE: Final = 24_000
BYTES_PER_S: Final = 2 * RATE
_UNKNOWN: Final = 0xFFFF_FFFF  # the length that OpenAI writes into the header of a WAV that it streams


@lru_cache(maxsize=256)
def pcm(text: str, lead_ms: int = 0) -> bytes:
    """Return the text's sound after silence: 16 bits, little endian, one channel. A word without marks is a hum."""
    phone = mulaw.decode(sound(text).mulaw).astype(np.float32)
    wide = soxr.resample(phone, SAMPLE_RATE, RATE, "VHQ")
    samples: bytes = np.clip(np.round(wide), -32768, 32767).astype("<i2").tobytes()
    return bytes(lead_ms * BYTES_PER_S // 1000) + samples


def wav_header(rate: int = RATE) -> bytes:
    """Return the header of a WAV stream."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE") + form + struct.pack("<4sI", b"data", _UNKNOWN)
