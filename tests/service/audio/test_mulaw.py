"""The table against ITU-T G.711, table 2a/2b, written out here a second time and another way: by decision values."""

from bisect import bisect_right
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from batkol.audio import mulaw
from batkol.audio.mulaw import Pcm, decode, decode_to_bytes, encode, silence

WIDTHS = [1, *[2] * 15, *(2 << segment for segment in range(1, 8) for _ in range(16))]
"""Quantizing intervals of 14-bit amplitudes: 1 of 1, 15 of 2, then seven segments of 16, each twice as wide."""

DECISIONS = [0, *accumulate(WIDTHS)]
"""x1 … x129 of table 2: where one interval ends and the next begins. The last is the virtual value 8159."""

LEVELS = [0, *((DECISIONS[n] + DECISIONS[n + 1]) // 2 for n in range(1, 128))]
"""y0 … y127: the amplitude that an interval is decoded to, its middle; the first is zero."""

CODES = list(range(256))
amplitudes = st.integers(-32768, 32767)
signals = npst.arrays(np.int16, st.integers(0, 100))


def expand(code: int) -> int:
    """One code to a 16-bit amplitude, as the standard's table reads: bits inverted, sign, number of the interval."""
    inverted = code ^ 0xFF
    level = 4 * LEVELS[inverted & 0x7F]
    return -level if inverted & 0x80 else level


def compress(amplitude: int) -> int:
    """One 16-bit amplitude to its code: the interval its magnitude falls into."""
    magnitude = min(abs(amplitude) / 4, 8158)
    interval = bisect_right(DECISIONS, magnitude) - 1
    return (interval | (0x80 if amplitude < 0 else 0)) ^ 0xFF


def as_pcm(*values: int) -> Pcm:
    return np.array(values, dtype=np.int16)


def test_the_second_table_is_the_standards() -> None:
    """Figures printed in G.711: 128 intervals, the virtual decision value 8159, the largest level 8031."""
    assert len(WIDTHS) == 128
    assert DECISIONS[-1] == 8159
    assert LEVELS[-1] == 8031
    assert LEVELS[:4] == [0, 2, 4, 6]


def test_every_code_decodes_as_the_standard_says() -> None:
    """All 256 of them."""
    assert decode(bytes(CODES)).tolist() == [expand(code) for code in CODES]
    assert mulaw.TABLE.tolist() == [expand(code) for code in CODES]


def test_every_amplitude_encodes_as_the_standard_says() -> None:
    """All 65,536 of them, minus the sign of zero."""
    everything = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)

    assert list(encode(everything)) == [compress(a) for a in range(-32768, 32768)]


def test_encoding_what_was_decoded_gives_the_code_back() -> None:
    """Except the negative zero, 0x7F, which has no amplitude of its own."""
    assert encode(decode(bytes(CODES))) == bytes([0xFF if code == 0x7F else code for code in CODES])


def test_both_zeros_are_silence() -> None:
    assert decode(b"\xff\x7f").tolist() == [0, 0]
    assert encode(as_pcm(0)) == b"\xff"
    assert silence(3) == b"\xff\xff\xff"
    assert silence(0) == b""


def test_encoding_is_monotone() -> None:
    """A louder sample never comes out quieter."""
    everything = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    heard = decode(encode(everything)).astype(np.int32)

    assert (np.diff(heard) >= 0).all()


@given(amplitudes)
def test_the_error_is_at_most_half_an_interval_of_its_segment(amplitude: int) -> None:
    """±4 at the bottom, ±512 at the top, at 16-bit scale; beyond 8159 x 4 the clipping adds its own."""
    heard = int(decode(encode(as_pcm(amplitude)))[0])
    magnitude = min(abs(amplitude), 4 * 8159 - 1)
    half = 4 * WIDTHS[bisect_right(DECISIONS, magnitude / 4) - 1] / 2

    assert abs(abs(heard) - magnitude) <= max(half, 4)
    assert heard * amplitude >= 0


@pytest.mark.parametrize("loud", [32635, 32636, 32767, -32635, -32636, -32768])
def test_what_is_too_loud_is_clipped_and_does_not_wrap(loud: int) -> None:
    """-32768 has no positive twin in 16 bits: a careless abs() turns it into silence."""
    assert decode(encode(as_pcm(loud))).tolist() == [32124 if loud > 0 else -32124]


@given(st.binary(max_size=100))
def test_a_signal_is_its_samples_one_by_one(heard: bytes) -> None:
    assert decode(heard).tolist() == [expand(code) for code in heard]
    assert decode(heard).dtype == np.int16


@given(signals)
def test_encoding_a_signal_is_encoding_its_samples(pcm: Pcm) -> None:
    assert list(encode(pcm)) == [compress(int(a)) for a in pcm]


@given(st.binary(max_size=100))
def test_linear16_is_little_endian_two_bytes_a_sample(heard: bytes) -> None:
    sent = decode_to_bytes(heard)

    assert sent == b"".join(expand(code).to_bytes(2, "little", signed=True) for code in heard)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_is_read(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    assert decode_to_bytes(kind(b"\xff\x00")) == b"\x00\x00\x84\x82"
