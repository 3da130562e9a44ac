"""The beginning of what a voice speaks: it is given out when it can be heard, without the silence before.

Voices begin with 20 to 200 ms of silence, which a caller who waits for an answer hears as a slower one. Silence alone
is no speech, though it is sound of the right format.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Final

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE, is_silent, leading_silence
from batkol.voices.voice import VoiceError, VoiceSound

LONGEST_S: Final = 3.0
"""Seconds of silence at the beginning after which the voice has failed."""

LEFT: Final = 80
"""Samples of the silence that are left before the speech, 10 ms: its first sound may be softer than what is silence."""


async def audible(sounds: AsyncIterator[VoiceSound]) -> AsyncGenerator[VoiceSound, None]:
    """Yield what a voice speaks, as soon as any of it can be heard, from `LEFT` samples before that on.

    Ends of words move with the sound of their piece. Raises `VoiceError` with the reason `silent` for a voice that
    gives silence alone, and what the iterator raises.
    """
    held: list[VoiceSound] = []
    samples, begun, piece, cut = 0, False, 0, 0
    async for sound in sounds:
        if begun:
            yield _moved(sound, cut) if sound.word_ends and sound.piece == piece else sound
            continue
        held.append(sound)
        samples += len(sound.mulaw)
        begun = not is_silent(sound.mulaw)
        if begun:
            piece, cut = sound.piece, _silence_before(held)
            for each in _without(held, piece, cut):
                yield each
            held.clear()
        elif samples > LONGEST_S * SAMPLE_RATE:
            raise _silent()
    if samples and not begun:
        raise _silent()
    for each in held:  # without sound: ends of pieces
        yield each


def _silence_before(held: Sequence[VoiceSound]) -> int:
    """Return how many samples at the beginning of the newest piece are left out."""
    newest = held[-1]
    silence = sum(len(sound.mulaw) for sound in held[:-1] if sound.piece == newest.piece)
    return max(0, silence + leading_silence(newest.mulaw) - LEFT)


def _without(held: Sequence[VoiceSound], piece: int, cut: int) -> Iterator[VoiceSound]:
    left = cut
    for sound in held:
        if sound.piece != piece:
            yield sound
            continue
        here = min(left, len(sound.mulaw))
        left -= here
        if here < len(sound.mulaw):
            yield _moved(msgspec.structs.replace(sound, mulaw=sound.mulaw[here:]), cut)
        elif sound.word_ends:
            yield _moved(msgspec.structs.replace(sound, mulaw=b""), cut)


def _moved(sound: VoiceSound, cut: int) -> VoiceSound:
    """Return a sound whose ends of words count from the first sample that was not cut."""
    return msgspec.structs.replace(sound, word_ends=tuple(max(0, end - cut) for end in sound.word_ends))


def _silent() -> VoiceError:
    return VoiceError("The voice's sound is silence. The same text may succeed later.", reason="silent", retryable=True)
