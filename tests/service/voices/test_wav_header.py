"""Headers of WAV streams: skipped where they can be played, refused where they cannot."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.voices.wav_header import LONGEST, WavError, WavHeader, begins_wav, read_header


def header(
    rate: int = 24_000,
    kind: int = 1,
    channels: int = 1,
    bits: int = 16,
    *,
    length: int = 0xFFFFFFFF,
    extra: bytes = b"",
) -> bytes:
    form = struct.pack("<HHIIHH", kind, channels, rate, 2 * rate, 2, bits)
    return (
        b"RIFF" + b"\xff" * 4 + b"WAVEfmt " + struct.pack("<I", 16) + form + extra + b"data" + struct.pack("<I", length)
    )


def test_reads_the_rate_and_where_the_samples_begin() -> None:
    assert read_header(header() + b"\x01\x02") == WavHeader(44, 24_000, None)
    assert read_header(header(16_000, length=320)) == WavHeader(44, 16_000, 320)


def test_skips_other_chunks_odd_ones_included() -> None:
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"

    assert read_header(header(extra=extra)) == WavHeader(56, 24_000, None)


def test_takes_the_extensible_form() -> None:
    form = struct.pack("<HHIIHHHHIHH12s", 0xFFFE, 1, 24_000, 48_000, 2, 16, 22, 16, 4, 1, 0, b"")
    whole = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"data\0\0\0\0"

    assert read_header(whole) == WavHeader(len(whole), 24_000, None)


@pytest.mark.parametrize("size", range(44))
def test_waits_for_a_header_that_is_not_whole(size: int) -> None:
    assert read_header(header()[:size]) is None


@pytest.mark.parametrize(
    "begun",
    [
        header(kind=3, bits=32),
        header(channels=2),
        header(bits=8),
        header(96_000),
        header(0),
        header()[:12] + b"data" + bytes(4),
    ],
)
def test_refuses_what_cannot_be_played(begun: bytes) -> None:
    with pytest.raises(WavError):
        read_header(begun)


def test_a_header_without_an_end_is_refused() -> None:
    with pytest.raises(WavError, match="longer"):
        read_header(header()[:36] + b"junk" + struct.pack("<I", 10 * LONGEST))


def test_samples_are_no_wav_file() -> None:
    assert begins_wav(b"RI") is None
    assert begins_wav(b"\0\0") is False
    assert begins_wav(b"RIFF1234AVI ") is False
    assert begins_wav(header()) is True


@given(st.binary(max_size=200))
def test_any_bytes_give_a_header_or_an_error_or_need_more(junk: bytes) -> None:
    try:
        found = read_header(b"RIFF\0\0\0\0WAVE" + junk)
    except WavError:
        return
    assert found is None or found.size <= len(junk) + 12
