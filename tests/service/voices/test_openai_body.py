"""The body of an answer, cut anywhere: samples, and WAV files of several rates."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.wav import wav_header
from batkol.simulators.speaker.speech import RATE, pcm
from batkol.voices.openai_body import SpeechBody
from batkol.voices.voice import VoiceError
from support.voices.pieces import words_of

SPOKEN = pcm("שלום תודה")


def sound_of(body: bytes, cuts: list[int] | None = None, *, largest_s: float = 60.0) -> bytes:
    speech, out, at = SpeechBody(largest_s), b"", 0
    for size in cuts or []:
        out += speech.feed(body[at : at + size])
        at += size
    return out + speech.feed(body[at:]) + speech.finish()


@given(st.lists(st.integers(0, 5000), max_size=20), st.booleans())
def test_the_cuts_make_no_difference(cuts: list[int], header: bool) -> None:
    sound = sound_of((wav_header(RATE) if header else b"") + SPOKEN, cuts)

    assert len(sound) == len(SPOKEN) // 6
    assert words_of(sound) == ["שלום", "תודה"]


def test_byte_by_byte_is_the_same_too() -> None:
    assert len(sound_of(wav_header(RATE) + SPOKEN[:2000], [1] * 2044)) == 333


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_a_wav_of_another_rate_has_the_right_pitch(rate: int) -> None:
    tone = (10_000 * np.sin(2 * np.pi * 500 * np.arange(rate) / rate)).astype("<i2").tobytes()

    sound = sound_of(wav_header(rate) + tone)

    assert len(sound) == 8000


def test_what_follows_the_samples_of_a_wav_is_not_played() -> None:
    header = wav_header(RATE)[:-4] + struct.pack("<I", 4800)

    assert len(sound_of(header + SPOKEN[:4800] + b"LIST" + bytes(4000), [100, 4000])) == 800


@pytest.mark.parametrize("body", [b"", b"\x01", wav_header(RATE)])
def test_no_sound_is_an_error(body: bytes) -> None:
    with pytest.raises(VoiceError) as raised:
        sound_of(body)

    assert raised.value.reason == "empty"


@pytest.mark.parametrize("begin", [b"RI", b"RIFF", b"RIFF1234WA", b"{\x00"])
def test_samples_that_begin_like_something_else_are_samples(begin: bytes) -> None:
    assert len(sound_of(begin + SPOKEN[:4800])) == round((len(begin) + 4800) / 6)


def test_the_limit_counts_sound() -> None:
    assert sound_of(SPOKEN, largest_s=len(SPOKEN) / 48_000)
    with pytest.raises(VoiceError) as raised:
        sound_of(SPOKEN, largest_s=len(SPOKEN) / 48_000 - 0.01)
    assert raised.value.reason == "too_long"


def test_the_beginning_is_converted_as_it_comes_and_the_rest_gathered() -> None:
    speech = SpeechBody(60.0)

    given = [len(speech.feed(SPOKEN[at : at + 960])) for at in range(0, 19_200, 960)]

    assert all(given[:4]), "20 ms each"
    assert given[10:].count(0) == 8, "100 ms each"


def test_sound_that_follows_other_sound_is_gathered_from_its_beginning_and_is_the_same() -> None:
    speech = SpeechBody(60.0, eager=False)

    given = [speech.feed(SPOKEN[at : at + 960]) for at in range(0, len(SPOKEN), 960)]

    assert not any(given[:4]), "100 ms each"
    sound = b"".join([*given, speech.finish()])
    assert words_of(sound) == words_of(sound_of(SPOKEN))
    assert len(sound) == len(sound_of(SPOKEN))
