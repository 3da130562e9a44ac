"""Silence is no speech: a reply of silence alone has failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from batkol.audio.mulaw import SAMPLE_RATE, silence
from batkol.voices.audible import LEFT, LONGEST_S, audible
from batkol.voices.voice import VoiceError, VoiceSound

QUIET, LOUD = silence(800), b"\x10" * 800


async def heard(*sounds: bytes) -> Sequence[bytes]:
    async def speaks() -> AsyncIterator[VoiceSound]:
        for number, sound in enumerate(sounds):
            yield VoiceSound(sound, 0, last=number == len(sounds) - 1)

    return [sound.mulaw async for sound in audible(speaks())]


async def test_of_silence_before_speech_ten_milliseconds_are_left_and_what_follows_is_as_it_is() -> None:
    assert await heard(QUIET, QUIET[:7] + LOUD, QUIET) == [QUIET[: LEFT - 7], QUIET[:7] + LOUD, QUIET]
    assert await heard(QUIET + LOUD) == [QUIET[:LEFT] + LOUD]
    assert await heard(QUIET[:30], LOUD) == [QUIET[:30], LOUD]


async def test_ends_of_words_move_with_the_sound_of_their_piece_alone() -> None:
    async def speaks() -> AsyncIterator[VoiceSound]:
        yield VoiceSound(QUIET, 0, last=True, word_ends=(800,))
        yield VoiceSound(QUIET, 1, word_ends=(5,))
        yield VoiceSound(QUIET + LOUD, 1, word_ends=(1700,))
        yield VoiceSound(LOUD, 1, last=True, word_ends=(2500, 3200))
        yield VoiceSound(LOUD, 2, last=True, word_ends=(800,))

    sounds = [sound async for sound in audible(speaks())]

    cut = 1600 - LEFT
    assert [(sound.piece, len(sound.mulaw), sound.word_ends, sound.last) for sound in sounds] == [
        (0, 800, (800,), True),
        (1, 0, (0,), False),
        (1, 800 + LEFT, (1700 - cut,), False),
        (1, 800, (2500 - cut, 3200 - cut), True),
        (2, 800, (800,), True),
    ]


async def test_no_sound_at_all_is_no_silence() -> None:
    assert await heard(b"", b"") == [b"", b""]


@pytest.mark.parametrize(
    "sounds",
    [[QUIET], [QUIET, b""], [b"\xff\x7f\xfe\x7e\xfd\x7d"], [silence(int(LONGEST_S * SAMPLE_RATE) + 1), LOUD]],
    ids=["silence", "silence and an end", "the noise of a quiet line", "silence that lasts"],
)
async def test_silence_alone_has_failed(sounds: Sequence[bytes]) -> None:
    with pytest.raises(VoiceError) as failed:
        await heard(*sounds)

    assert failed.value.reason == "silent"
