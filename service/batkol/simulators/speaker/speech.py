"""The sound of the voice double: marked words at 24 kHz, which are still read after they were brought to 8 kHz."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import soxr

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.builtin import sound

RATE: Final = 24_000
BYTES_PER_S: Final = 2 * RATE


@lru_cache(maxsize=256)
def pcm(text: str, lead_ms: int = 0) -> bytes:
    """Return the text's sound after silence: 16 bits, little endian, one channel. A word without marks is a hum."""
    phone = mulaw.decode(sound(text).mulaw).astype(np.float32)
    wide = soxr.resample(phone, SAMPLE_RATE, RATE, "VHQ")
    samples: bytes = np.clip(np.round(wide), -32768, 32767).astype("<i2").tobytes()
    return bytes(lead_ms * BYTES_PER_S // 1000) + samples
