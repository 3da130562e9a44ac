"""G.711 mu-law, by one table.

ITU-T G.711 (11/88), table 2: an 8-bit code is sign, 3 bits of segment and 4 bits of step, all inverted on the wire.
Decoding is one NumPy `take` over any number of samples; encoding is one `take` too, over all 65,536 amplitudes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

SAMPLE_RATE: Final = 8000
SAMPLES_PER_MS: Final = 8
SILENCE: Final = 0xFF
"""The code of amplitude zero: what a gap is filled with."""

_BIAS: Final = 0x84  # 33 << 2: the encoder's bias at 16-bit scale
_CLIP: Final = 32635  # the largest magnitude that still fits segment 7 after the bias

Pcm = npt.NDArray[np.int16]


def _decoding_table() -> Pcm:
    codes = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = (codes >> 4) & 0x07, codes & 0x0F
    magnitude = (((step << 3) + _BIAS) << segment) - _BIAS
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


def _encoding_table() -> npt.NDArray[np.uint8]:
    amplitude = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    sign = np.where(amplitude < 0, 0x80, 0)
    biased = np.minimum(np.abs(amplitude), _CLIP) + _BIAS
    segment = np.floor(np.log2(biased)).astype(np.int32) - 7
    step = (biased >> (segment + 3)) & 0x0F
    codes: npt.NDArray[np.int64] = ~(sign | (segment << 4) | step) & 0xFF
    return codes.astype(np.uint8)


TABLE: Final[Pcm] = _decoding_table()
_LOW: Final = (TABLE & 0xFF).astype(np.uint8).tobytes()
_HIGH: Final = (TABLE >> 8 & 0xFF).astype(np.uint8).tobytes()
_ENCODE: Final = _encoding_table()
_INAUDIBLE: Final = bytes(code for code in range(256) if abs(int(TABLE[code])) <= 16)


def decode(mulaw: bytes | bytearray | memoryview) -> Pcm:
    """Return the int16 amplitudes of mu-law codes, one a code. Any length, including none."""
    return TABLE.take(np.frombuffer(mulaw, dtype=np.uint8))


def decode_to_bytes(mulaw: bytes | bytearray | memoryview) -> bytes:
    """Return LINEAR16, little endian, two bytes a sample: what the recognizer is sent.

    NumPy would let other threads in while it looks up a batch, and take longer to come back than for the batch.
    """
    codes = bytes(mulaw)
    linear = bytearray(2 * len(codes))
    linear[::2] = codes.translate(_LOW)
    linear[1::2] = codes.translate(_HIGH)
    return bytes(linear)


def encode(pcm: Pcm) -> bytes:
    """Return the mu-law codes of int16 amplitudes; magnitudes beyond 32,635 are clipped as G.711 does."""
    return _ENCODE.take(pcm.view(np.uint16)).tobytes()


def silence(samples: int) -> bytes:
    """Return that many samples of mu-law silence."""
    return bytes([SILENCE]) * samples


def is_silent(mulaw: bytes) -> bool:
    """Whether no amplitude is above 16 of 32,767: a telephone lets nothing of it be heard. Empty sound is silent."""
    return not mulaw.translate(None, _INAUDIBLE)


def leading_silence(mulaw: bytes) -> int:
    """Return how many samples come before the first that is not silent (`is_silent`); all of them if none is."""
    return len(mulaw) - len(mulaw.lstrip(_INAUDIBLE))
