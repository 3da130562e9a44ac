"""A random call: what the caller says, and a Google and a fallback that know it and deliver it untidily.

Every word of a call is another one, so that a word in the wrong utterance, lost or doubled, shows. The audio carries
its own position, so a recognizer knows from the audio alone which words are in it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

import grpc
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.errors import UpstreamError
from support.google.scripted import ServedStream

MS: Final = SAMPLE_RATE // 1000
FRAME: Final = 20 * MS
MISHEARD: Final = "hm"
"""What an interim has in the place of a word that it will make out later."""

SILENCE: Final = 500 * MS
"""Quiet after which Google settles what it has heard."""

_MARK: Final = 0xEF
_DIGITS: Final = 4


class Spoken(NamedTuple):
    """A word and its samples."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Speech:
    """All that the caller says, by utterance, and the length of the call in samples."""

    utterances: tuple[tuple[Spoken, ...], ...]
    ends: int

    @property
    def words(self) -> list[Spoken]:
        return [word for utterance in self.utterances for word in utterance]

    def audio(self, start: int, end: int) -> bytes:
        """Return mu-law of whole frames: loud where a word is, and with the number of each frame in it."""
        return b"".join(self._frame(at // FRAME) for at in range(start, end, FRAME))

    def heard_in(self, audio: bytes) -> str:
        """Return the words whose middle is in this stretch."""
        start = position(audio)
        return " ".join(w.text for w in self.words if start <= (w.start + w.end) // 2 < start + len(audio))

    def _frame(self, number: int) -> bytes:
        at = number * FRAME
        loud = any(word.start <= at < word.end for word in self.words)
        digits = bytes(0xF0 + (number >> 4 * place) % 16 for place in range(_DIGITS))
        return bytes([_MARK]) + digits + bytes([0x90 if loud else 0xFF]) * (FRAME - 1 - _DIGITS)


def position(audio: bytes) -> int:
    """Return where in the call a stretch of at least two frames begins."""
    at = audio.index(_MARK)
    digits = audio[at + 1 : at + 1 + _DIGITS]
    return sum((digit - 0xF0) << 4 * place for place, digit in enumerate(digits)) * FRAME - at


def random_speech(draw: random.Random) -> Speech:
    """Draw one to four utterances of one to four words, none of which is shorter than what `COVERS` forgives."""
    at, utterances, told = draw.randrange(300, 1500), [], 0
    for _ in range(draw.randint(1, 4)):
        words = []
        for _ in range(draw.randint(1, 4)):
            length = draw.choice([300, 400, 600])
            words.append(Spoken(f"w{told}", at * MS, (at + length) * MS))
            at, told = at + length + draw.choice([20, 60, 120]), told + 1
        utterances.append(tuple(words))
        at = words[-1].end // MS + draw.choice([900, 1200, 2500])
    return Speech(tuple(utterances), -(-at * MS // FRAME) * FRAME)


@dataclass
class UntidyGoogle:
    """Streams that hear the call, each with habits of its own.

    They die at any moment, say nothing at all, settle one utterance in pieces or two at once, are seconds late, and
    show interims that change their mind. What a stream that lives has heard it delivers, at the latest after the
    half-close; but `silent` counts the streams that say nothing and end well. `base` returns where the stream of that
    number begins.
    """

    speech: Speech
    draw: random.Random
    base: Callable[[int], int]
    deaths: int = 2
    served: int = 0
    silent: int = 0

    async def serve(self, stream: ServedStream) -> None:
        number, self.served = self.served, self.served + 1
        await _Hearing(self, stream, self.base(number)).run()


_CODES: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.INTERNAL)


@dataclass
class _Hearing:
    google: UntidyGoogle
    stream: ServedStream
    base: int
    settled: int = 0  # words, of those this stream hears
    shown: int = 0
    saying: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = self.google.draw
        self._words = [w for w in self.google.speech.words if (w.start + w.end) // 2 >= self.base]
        self._silent = draw.random() < 0.1
        self.google.silent += self._silent
        self._merges = draw.random() < 0.2  # settles nothing before there are two utterances
        self._latency_s = draw.choice([0.05, 0.3, 0.9, 2.5])
        self._dies_at = None
        if self.google.deaths and draw.random() < 0.6:
            self.google.deaths -= 1
            self._dies_at = draw.choice([0, draw.randrange(5000 * MS)])
        self._due: asyncio.Queue[Any] = asyncio.Queue()

    async def run(self) -> None:
        answering = asyncio.create_task(self._answer(), name="untidy_google.answer")
        try:
            while await self.stream.read() is not None:
                heard = len(self.stream.linear16) // 2
                if self._dies_at is not None and heard >= self._dies_at:
                    code = self.google.draw.choice(_CODES)
                    await self.stream.abort(code, "no")
                self._listen(self.base + heard)
            self._settle(len(self._words), self.base + len(self.stream.linear16) // 2, only_heard=True)
            self._due.put_nowait(None)
            await answering
        finally:
            answering.cancel()
            await asyncio.wait([answering])

    def _listen(self, heard_to: int) -> None:
        draw = self.google.draw
        heard = sum(word.end <= heard_to for word in self._words)
        if heard > self.settled:
            speaking = heard < len(self._words) and self._words[heard].start < heard_to
            quiet = not speaking and heard_to - self._words[heard - 1].end >= SILENCE
            held = self._merges and heard - self.settled < 4
            if (quiet and not held) or (heard - self.settled > 1 and draw.random() < 0.02):
                end = min(heard_to, self._words[heard - 1].end + (SILENCE if quiet else 10 * MS))
                self._settle(heard, end)
        if heard > self.settled and heard != self.shown:
            self.shown = heard
            words = [word.text for word in self._words[self.settled : heard]]
            if draw.random() < 0.3:
                self._say(_result(f" {' '.join([*words[:-1], MISHEARD])}", heard_to - self.base))
            self._say(_result(f" {' '.join(words)}", heard_to - self.base))

    def _settle(self, count: int, end: int, *, only_heard: bool = False) -> None:
        words = self._words[self.settled : count]
        if only_heard:
            words = [word for word in words if word.end <= end + 50 * MS]
        if words:
            self._say(_final(words, self.base, end - self.base))
            self.settled += len(words)

    def _say(self, result: Any) -> None:
        if not self._silent:
            late = self._latency_s * self.google.draw.uniform(0.8, 1.2)
            self._due.put_nowait((asyncio.get_running_loop().time() + late, result))

    async def _answer(self) -> None:
        while (due := await self._due.get()) is not None:
            if not self.stream.half_closed:
                await asyncio.sleep(max(0.0, due[0] - asyncio.get_running_loop().time()))
            await self.stream.say(due[1])


def _result(text: str, end: int) -> Any:
    return cloud_speech.StreamingRecognitionResult(
        alternatives=[cloud_speech.SpeechRecognitionAlternative(transcript=text)],
        stability=0.5,
        result_end_time=_offset(end),
    )


def _final(words: list[Spoken], base: int, end: int) -> Any:
    """With word times, which start where the word before ended."""
    told, at = [], max(0, words[0].start - base)
    for word in words:
        said = cloud_speech.WordInfo(word=word.text, start_time=_offset(at), end_time=_offset(max(at, word.end - base)))
        told.append(said)
        at = max(at, word.end - base)
    text = " ".join(word.text for word in words)
    best = cloud_speech.SpeechRecognitionAlternative(transcript=text, words=told)
    return cloud_speech.StreamingRecognitionResult(alternatives=[best], is_final=True, result_end_time=_offset(end))


def _offset(samples: int) -> timedelta:
    return timedelta(seconds=samples / SAMPLE_RATE)


@dataclass
class UntidyFallback:
    """A step that answers for whatever audio it gets, by what is in it; it may fail, `failures` times in all."""

    speech: Speech
    draw: random.Random
    failures: int = 0
    slowest_s: float = 1.0

    async def recognize(self, audio: bytes) -> str:
        await asyncio.sleep(self.draw.uniform(0.05, self.slowest_s))
        if self.failures and self.draw.random() < 0.5:
            self.failures -= 1
            raise UpstreamError("no", reason="unavailable", retryable=True)
        return self.speech.heard_in(audio)
