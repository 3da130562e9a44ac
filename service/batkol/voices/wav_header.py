"""The header of a WAV stream that came where samples were asked for: read, so that no byte of it is played.

Some servers send `response_format=wav` whatever they are asked for. Played as samples, 44 bytes of header are a click,
and a sound of another rate has the wrong pitch.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from batkol.quantity import quantity

LONGEST: Final = 4096
"""Bytes of a header, chunks of notes included."""

PCM: Final = 1
FLOAT: Final = 3
MULAW: Final = 7
_EXTENSIBLE: Final = 0xFFFE  # the true format is the first two bytes of the extension
_UNKNOWN: Final = 0x7FFF_0000
"""Lengths from here on stand for "not known yet": a server that streams writes 0x7FFFFFFF or 0xFFFFFFFF."""
_RATES: Final = range(8000, 48_001)


class WavError(ValueError):
    """The header is broken, or the sound is of a form that cannot be played. The text quotes numbers alone."""


class WavHeader(NamedTuple):
    """The parts of a header that matter."""

    size: int
    """Bytes before the first sample."""
    rate: int
    """Samples a second."""
    length: int | None
    """Bytes of samples, None if unknown."""


class SampleForm(NamedTuple):
    """The form of the samples: `kind` is the number of a format, such as `PCM`."""

    kind: int
    channels: int
    bits: int
    rate: int

    def __str__(self) -> str:
        return f"format {self.kind}, {quantity(self.channels, 'channel')}, {self.bits} bits, {self.rate} Hz"


class WavSamples(NamedTuple):
    """The samples of a file: the bytes before them, their form, and their length in bytes, None if unknown."""

    size: int
    form: SampleForm
    length: int | None


def begins_wav(begun: bytes) -> bool | None:
    """Whether the body is a WAV file; None while too few bytes are there to say."""
    if not b"RIFF".startswith(begun[:4]) or len(begun) >= 12:
        return begun[:4] == b"RIFF" and begun[8:12] == b"WAVE"
    return None


def read_header(begun: bytes) -> WavHeader | None:
    """Return the header, or None if it is not whole yet. Raises `WavError`, for all but 16-bit mono PCM too."""
    found = find_samples(begun)
    if found is None:
        return None
    kind, channels, bits, rate = form = found.form
    if (kind, channels, bits) != (PCM, 1, 16) or rate not in _RATES:
        raise WavError(f"{form}; only 16-bit mono PCM can be played")
    return WavHeader(found.size, rate, found.length)


def find_samples(begun: bytes) -> WavSamples | None:
    """Return where the samples are, whatever their form, or None if the header is not whole yet. Raises `WavError`."""
    at, form = 12, None
    while at + 8 <= len(begun):
        name, length = struct.unpack_from("<4sI", begun, at)
        at += 8
        if name == b"data":
            if form is None:
                raise WavError("its samples come before their format")
            return WavSamples(at, form, length if 0 < length < _UNKNOWN else None)
        if name == b"fmt ":
            if at + length > len(begun):
                break
            form = _form(begun[at : at + length])
        at += length + length % 2
    if len(begun) > LONGEST or at > LONGEST:
        raise WavError(f"its header is longer than {LONGEST} bytes")
    return None


def _form(form: bytes) -> SampleForm:
    if len(form) < 16:
        raise WavError("its format is cut off")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if kind == _EXTENSIBLE and len(form) >= 26:
        kind = struct.unpack_from("<H", form, 24)[0]
    return SampleForm(kind, channels, bits, rate)
