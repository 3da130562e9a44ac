"""Silence is no speech: a reply of silence alone has failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from batkol.audio.mulaw import SAMPLE_RATE, silence
from batkol.voices.audible import LONGEST_S, audible
from batkol.voices.voice import VoiceError, VoiceSound

QUIET, LOUD = silence(800), b"\x10" * 800


async def heard(*sounds: bytes) -> Sequence[bytes]:
    async def speaks() -> AsyncIterator[VoiceSound]:
        for number, sound in enumerate(sounds):
            yield VoiceSound(sound, 0, last=number == len(sounds) - 1)

    return [sound.mulaw async for sound in audible(speaks())]


async def test_silence_before_speech_comes_with_it_and_after_it_as_it_is() -> None:
    assert await heard(QUIET, LOUD, QUIET) == [QUIET, LOUD, QUIET]


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
