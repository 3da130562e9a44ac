"""Sound of other rates at 8 kHz: the same whatever the cuts, and the beginning at once."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.voices.marked.voice import random_utterances, script
from batkol.voices.resample import PhoneStream, at_8k
from support.voices.pieces import words_of

WORDS = [word for utterance in random_utterances(7, 2, 3) for word in utterance]
SPOKEN = script([WORDS], lead_ms=0, tail_ms=0)


def wide(rate: int) -> bytes:
    phone = mulaw.decode(SPOKEN.mulaw).astype(np.float32)
    pcm: bytes = np.round(soxr.resample(phone, 8000, rate, "VHQ")).clip(-32768, 32767).astype("<i2").tobytes()
    return pcm


AT_24K = wide(24_000)
WHOLE = mulaw.decode(mulaw.encode(at_8k(np.frombuffer(AT_24K, "<i2"), 24_000))).astype(int)


def streamed(pcm: bytes, sizes: list[int], rate: int = 24_000) -> bytes:
    stream, out, cut = PhoneStream(rate), b"", 0
    for size in sizes:
        out += stream.feed(pcm[cut : cut + size])
        cut += size
    return out + stream.feed(pcm[cut:]) + stream.finish()


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_marked_words_are_still_read_after_the_way_down(rate: int) -> None:
    sound = streamed(wide(rate), [1, 1, 4095, 3, 20_000], rate)

    assert words_of(sound) == WORDS
    assert len(sound) == len(SPOKEN.mulaw)


@given(st.lists(st.integers(0, 6000), max_size=30))
def test_the_cuts_make_no_difference(sizes: list[int]) -> None:
    sound = mulaw.decode(streamed(AT_24K, sizes)).astype(int)

    assert len(sound) == len(WHOLE)
    difference = np.abs(sound - WHOLE)
    assert difference.max() <= 512, "soxr's dither may move a sample by a step of mu-law"
    assert difference.mean() < 4


def test_the_beginning_leaves_with_the_first_chunk() -> None:
    stream = PhoneStream(24_000)

    assert len(stream.feed(AT_24K[: 48 * 20])) >= 8 * 10, "20 ms came, and at least 10 ms are given out"


def test_half_a_sample_at_the_end_is_no_sample() -> None:
    assert len(streamed(AT_24K + b"\x7f", [])) == len(WHOLE)


def test_loud_sound_is_clipped_and_does_not_turn_over() -> None:
    square = np.tile(np.repeat(np.array([32767, -32768], dtype="<i2"), 120), 100)

    levels = mulaw.decode(mulaw.encode(at_8k(square, 24_000))).astype(int)

    inside = levels.reshape(-1, 40)[2:-2, 10:-10]
    assert (np.abs(inside) > 25_000).all()
    assert (np.sign(inside) == np.sign(inside[:, :1])).all()


@pytest.mark.parametrize("size", [480, 962, 2000])
def test_no_sample_leaves_before_the_filter_has_what_follows_it(size: int) -> None:
    tone = np.round(500 * np.sin(2 * np.pi * 1900 * np.arange(12_000) / 24_000)).astype("<i2")
    whole = mulaw.decode(mulaw.encode(at_8k(tone, 24_000))).astype(int)

    sound = mulaw.decode(streamed(tone.tobytes(), [size] * (24_000 // size))).astype(int)

    assert np.abs(sound - whole)[80:-80].max() <= 32, "two steps of mu-law at this level"
