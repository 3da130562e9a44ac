"""The beginning of what a voice speaks: silence alone is no speech, though it is sound of the right format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, is_silent
from batkol.voices.voice import VoiceError, VoiceSound

LONGEST_S: Final = 3.0
"""Seconds of silence at the beginning after which the voice has failed."""


async def audible(sounds: AsyncIterator[VoiceSound]) -> AsyncGenerator[VoiceSound, None]:
    """Yield what a voice speaks, as soon as any of it can be heard.

    Raises `VoiceError` with the reason `silent` for a voice that gives silence alone, and what the iterator raises.
    """
    held: list[VoiceSound] = []
    samples, begun = 0, False
    async for sound in sounds:
        if begun:
            yield sound
            continue
        held.append(sound)
        samples += len(sound.mulaw)
        begun = not is_silent(sound.mulaw)
        if begun:
            for each in held:
                yield each
            held.clear()
        elif samples > LONGEST_S * SAMPLE_RATE:
            raise _silent()
    if samples and not begun:
        raise _silent()
    for each in held:  # without sound: ends of pieces
        yield each


def _silent() -> VoiceError:
    return VoiceError("The voice's sound is silence. The same text may succeed later.", reason="silent", retryable=True)
