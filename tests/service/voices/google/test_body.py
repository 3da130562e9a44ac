"""Headers in the sound of a session: taken off wherever they come, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.wav import mulaw_header, wav_header
from batkol.voices.google.body import SessionBody
from batkol.voices.voice import VoiceError

SOUND = bytes(range(256)) * 4


def fed(*messages: bytes) -> bytes:
    body = SessionBody()
    return b"".join(body.feed(message) for message in messages) + body.finish()


@given(st.lists(st.binary(max_size=40), max_size=8).filter(lambda m: not any(b"RIFF" in x for x in m)))
def test_sound_without_a_header_goes_through_byte_by_byte(messages: list[bytes]) -> None:
    first = b"\xff"  # else it may begin as another form does

    assert fed(first, *messages) == first + b"".join(messages)


@given(st.lists(st.integers(1, len(mulaw_header()) + 20), max_size=6).map(sorted))
def test_a_header_cut_anywhere_is_taken_off(cuts: list[int]) -> None:
    whole = mulaw_header() + SOUND
    edges = [0, *cuts, len(whole)]

    assert fed(*(whole[a:b] for a, b in pairwise(edges))) == SOUND


def test_a_header_before_each_sentence_is_taken_off() -> None:
    assert fed(mulaw_header() + SOUND, SOUND, mulaw_header() + SOUND) == SOUND * 3


@pytest.mark.parametrize(
    "content",
    [b"OggS" + SOUND, b"ID3" + SOUND, wav_header(8000) + SOUND, mulaw_header()[:30]],
    ids=["ogg", "mp3", "pcm", "half"],
)
def test_another_form_is_an_error_and_not_played(content: bytes) -> None:
    with pytest.raises(VoiceError) as raised:
        fed(content)

    assert raised.value.reason == "malformed"
