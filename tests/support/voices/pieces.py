"""Pieces of a reply, and what a voice makes of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from batkol.audio import mulaw
from batkol.simulators.voice.recognizer import WordRecognizer
from batkol.voices.voice import Voice, VoiceSound


class Pieces:
    """An iterator over texts; at its end it may raise. `read` counts what was taken."""

    def __init__(self, *texts: str, error: BaseException | None = None) -> None:
        self.read = 0
        self._texts = texts
        self._error = error or StopAsyncIteration()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self.read == len(self._texts):
            raise self._error
        self.read += 1
        return self._texts[self.read - 1]


async def spoken(voice: Voice, *texts: str) -> list[VoiceSound]:
    """What the voice makes of the texts."""
    return await collected(voice.speak(Pieces(*texts)))


async def collected(sounds: AsyncGenerator[VoiceSound, None]) -> list[VoiceSound]:
    async with aclosing(sounds):
        return [sound async for sound in sounds]


def joined(sounds: list[VoiceSound], piece: int) -> VoiceSound:
    """One piece as one sound; the seam's rules are checked on the way."""
    of_it = [sound for sound in sounds if sound.piece == piece]
    assert [sound.last for sound in of_it] == [False] * (len(of_it) - 1) + [True]
    ends = tuple(end for sound in of_it for end in sound.word_ends)
    whole = b"".join(sound.mulaw for sound in of_it)
    assert list(ends) == sorted(ends)
    assert all(end <= len(whole) for end in ends)
    at = 0
    for sound in of_it:
        assert all(at <= end <= at + len(sound.mulaw) for end in sound.word_ends), "an end lies in its sound"
        at += len(sound.mulaw)
    return VoiceSound(whole, piece, last=True, word_ends=ends)


def heard(sound: bytes) -> list[tuple[str, int]]:
    """The marked words in a sound, and where each ends."""
    ear = WordRecognizer()
    words = ear.feed(mulaw.decode_to_bytes(sound) + bytes(2 * 800))
    return [(word.text, word.end) for word in [*words, *ear.finish()]]


def words_of(sound: bytes) -> list[str]:
    return [word for word, _ in heard(sound)]
