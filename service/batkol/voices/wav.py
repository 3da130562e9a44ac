"""Whole WAV files on their way to the telephone: any usual form of samples in, mu-law at 8 kHz out.

Converted by the second: what holds the interpreter's lock is short, so a thread that converts a long file does not make
the event loop wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soxr

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.quantity import quantity
from batkol.voices.resample import QUALITY
from batkol.voices.wav_header import FLOAT, MULAW, PCM, SampleForm, WavError, WavSamples, begins_wav, find_samples

MOST_CHANNELS: Final = 8
RATES: Final = range(4000, 192_001)


class WavTooLongError(WavError):
    """The sound is longer than what may be played at once."""


_Samples = npt.NDArray[np.float32]


def _integers(kind: str, full: int) -> Callable[[bytes], _Samples]:
    return lambda raw: (np.frombuffer(raw, dtype=kind) / full).astype(np.float32)


def _unsigned(raw: bytes) -> _Samples:
    return ((np.frombuffer(raw, dtype=np.uint8) - 128.0) / 128).astype(np.float32)


def _three_bytes(raw: bytes) -> _Samples:
    wide = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
    wide[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
    return _integers("<i4", 1 << 31)(wide.tobytes())


def _floats(kind: str) -> Callable[[bytes], _Samples]:
    return lambda raw: np.nan_to_num(np.frombuffer(raw, dtype=kind).clip(-1.0, 1.0)).astype(np.float32)


def _mulaw(raw: bytes) -> _Samples:
    return (mulaw.decode(raw) / (1 << 15)).astype(np.float32)


_DECODERS: Final[Mapping[tuple[int, int], Callable[[bytes], _Samples]]] = {
    (PCM, 8): _unsigned,
    (PCM, 16): _integers("<i2", 1 << 15),
    (PCM, 24): _three_bytes,
    (PCM, 32): _integers("<i4", 1 << 31),
    (FLOAT, 32): _floats("<f4"),
    (FLOAT, 64): _floats("<f8"),
    (MULAW, 8): _mulaw,
}


def to_phone(wav: bytes, *, longest_s: float, channel: int | None = None) -> bytes:
    """Return the sound of a WAV file as mu-law at 8 kHz. Raises `WavError`: a clause about the file ("it is …").

    `channel` is the one to take, from 0 on; None mixes all of them.
    """
    found = find_samples(wav) if begins_wav(wav) else None
    if found is None:
        raise WavError("it is no WAV file, or its header is cut off")
    form = found.form
    decode = _DECODERS.get((form.kind, form.bits))
    if decode is None or not 1 <= form.channels <= MOST_CHANNELS or form.rate not in RATES:
        raise WavError(
            f"it has {form}; PCM of 8, 16, 24 or 32 bits, float and mu-law can be played, of 1 to {MOST_CHANNELS} "
            f"channels and {RATES[0]} to {RATES[-1]} Hz"
        )
    if channel is not None and channel >= form.channels:
        raise WavError(f"it has {quantity(form.channels, 'channel')}, and channel {channel + 1} was asked for")
    raw = _whole_frames(wav, found)
    seconds = len(raw) / _frame(form) / form.rate
    if seconds > longest_s:
        raise WavTooLongError(f"it lasts {seconds:.0f} s; {longest_s:.0f} s can be played at once")
    if (form.kind, form.channels, form.rate) == (MULAW, 1, SAMPLE_RATE):
        return raw
    return _converted(raw, form, decode, channel)


def _frame(form: SampleForm) -> int:
    return form.channels * form.bits // 8


def _whole_frames(wav: bytes, found: WavSamples) -> bytes:
    raw = wav[found.size :] if found.length is None else wav[found.size : found.size + found.length]
    if found.length is not None and len(raw) < found.length:
        announced = quantity(found.length, "byte")
        raise WavError(f"it is cut off: its header announces {announced} of samples, and {len(raw)} came")
    raw = raw[: len(raw) - len(raw) % _frame(found.form)]
    if not raw:
        raise WavError("it has no sound")
    return raw


def _converted(raw: bytes, form: SampleForm, decode: Callable[[bytes], _Samples], channel: int | None = None) -> bytes:
    stream = soxr.ResampleStream(form.rate, SAMPLE_RATE, 1, dtype="float32", quality=QUALITY)
    second = form.rate * _frame(form)
    converted = bytearray()
    for at in range(0, len(raw), second):
        frames = decode(raw[at : at + second]).reshape(-1, form.channels)
        mono = frames.mean(axis=1, dtype=np.float32) if channel is None else np.ascontiguousarray(frames[:, channel])
        converted += _encoded(stream.resample_chunk(mono, last=at + second >= len(raw)))
    if not converted:
        raise WavError("it is shorter than one sample of the telephone")
    return bytes(converted)


def _encoded(samples: npt.NDArray[Any]) -> bytes:
    return mulaw.encode(np.round(samples.clip(-1.0, 1.0) * 32767).astype(np.int16))
