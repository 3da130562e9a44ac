"""Whole WAV files: what comes out sounds as what went in, whatever the form of its samples."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.voices.wav import WavTooLongError, to_phone
from batkol.voices.wav_header import FLOAT, MULAW, PCM, WavError

SECONDS: Final = 1.5
LONGEST_S: Final = 10.0


def tone(rate: int, hz: float = 440.0) -> npt.NDArray[np.float64]:
    """Return a tone of half the full scale."""
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(SECONDS * rate)) / rate)


def samples(sound: npt.NDArray[np.float64], kind: int, bits: int) -> bytes:
    """Return the sound in that form."""
    match kind, bits:
        case 1, 8:
            return np.round(sound * 127 + 128).astype(np.uint8).tobytes()
        case 1, 24:
            wide = np.round(sound * ((1 << 23) - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)
            return wide[:, :3].tobytes()
        case 1, _:
            return np.round(sound * ((1 << (bits - 1)) - 1)).astype(f"<i{bits // 8}").tobytes()
        case 3, _:
            return sound.astype(f"<f{bits // 8}").tobytes()
        case _:
            return mulaw.encode(np.round(sound * 32767).astype(np.int16))


def file(raw: bytes, kind: int = PCM, bits: int = 16, rate: int = 8000, channels: int = 1, **about: Any) -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)
    length = about.get("length", len(raw))
    return b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length) + raw


@pytest.mark.parametrize("rate", [8000, 11_025, 48_000])
@pytest.mark.parametrize(
    ("kind", "bits"), [(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64), (MULAW, 8)]
)
def test_a_tone_of_any_form_is_the_same_tone_on_the_telephone(kind: int, bits: int, rate: int) -> None:
    found = mulaw.decode(to_phone(file(samples(tone(rate), kind, bits), kind, bits, rate), longest_s=LONGEST_S))

    assert abs(len(found) - SECONDS * 8000) <= 2
    wanted, inner = tone(8000) * 32767, slice(800, -800)
    error = found[: len(wanted)][inner] - wanted[: len(found)][inner]
    assert np.sqrt(np.mean(error**2)) < 0.03 * 16_384, "mu-law's own error is 2 %"


def test_channels_are_mixed() -> None:
    left = tone(16_000)
    both = np.column_stack((left, -left)).ravel()
    one = np.column_stack((left, np.zeros_like(left))).ravel()

    silent, half = (
        mulaw.decode(to_phone(file(samples(each, PCM, 16), rate=16_000, channels=2), longest_s=LONGEST_S))
        for each in (both, one)
    )

    assert np.abs(silent).max() < 10
    assert 7_500 < np.abs(half[800:-800]).max() < 8_900


def test_mulaw_of_the_telephone_is_not_touched() -> None:
    codes = bytes(range(256)) * 10

    assert to_phone(file(codes, MULAW, 8), longest_s=LONGEST_S) == codes


def test_a_length_that_a_streaming_server_did_not_know_is_the_rest_of_the_file() -> None:
    codes = b"\x10" * 800

    assert to_phone(file(codes, MULAW, 8, length=0xFFFFFFFF), longest_s=LONGEST_S) == codes


def test_chunks_behind_the_samples_are_not_played() -> None:
    codes = b"\x10" * 800

    assert to_phone(file(codes + b"LIST", MULAW, 8, length=800), longest_s=LONGEST_S) == codes


def test_half_a_frame_at_the_end_is_no_sample() -> None:
    assert len(to_phone(file(bytes(2 * 3 * 100 + 5), bits=24, channels=2), longest_s=LONGEST_S)) in range(98, 103)


def test_loud_and_impossible_floats_are_clipped() -> None:
    wild = np.array([9.0, -9.0, np.nan, np.inf, -np.inf] * 400)

    found = mulaw.decode(to_phone(file(samples(wild, FLOAT, 32), FLOAT, 32), longest_s=LONGEST_S))
    assert len(found) == 2000


@pytest.mark.parametrize(
    ("wav", "why"),
    [
        (b"", "no WAV file"),
        (b"ID3" + bytes(100), "no WAV file"),
        (file(b"")[:40], "cut off"),
        (file(b""), "no sound"),
        (file(bytes(100), length=101), "cut off"),
        (file(bytes(100), kind=6, bits=8), "format 6"),
        (file(bytes(100), bits=12), "12 bits"),
        (file(bytes(100), channels=9), "9 channels"),
        (file(bytes(100), channels=0), "0 channels"),
        (file(bytes(100), rate=3999), "3999 Hz"),
        (file(bytes(100), rate=0), "0 Hz"),
        (file(bytes(2), rate=192_000), "shorter than one sample"),
    ],
)
def test_what_cannot_be_played_is_refused_with_the_reason(wav: bytes, why: str) -> None:
    with pytest.raises(WavError, match=why):
        to_phone(wav, longest_s=LONGEST_S)


def test_a_sound_that_is_too_long_is_refused_as_such() -> None:
    with pytest.raises(WavTooLongError, match="11 s"):
        to_phone(file(bytes(11 * 8000), MULAW, 8), longest_s=LONGEST_S)


@given(st.binary(max_size=300), st.integers(0, 10), st.integers(0, 40), st.integers(0, 100_000))
def test_any_file_is_sound_or_refused(raw: bytes, channels: int, bits: int, rate: int) -> None:
    sound = b"nothing"
    with suppress(WavError):
        sound = to_phone(file(raw, bits=bits, rate=rate, channels=channels), longest_s=LONGEST_S)
    assert 0 < len(sound) <= LONGEST_S * 8000
