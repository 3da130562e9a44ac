"""One attempt at a reply: the answerer's text, cut into pieces, spoken by the voice, silent until it has a way out.

Two tasks: one reads the answer as it comes, one has it spoken. The sound goes into the track, and on to the caller only
while `release`d. Closing what is under way cancels the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol

from batkol.answering.answerer import Answerer, AnswererError, Question
from batkol.conversation.track import Track
from batkol.voices.voice import Voice, VoiceError

LONGEST_S: Final = 180.0
"""Seconds of sound that one reply may have; the rest of a longer answer is not spoken."""


class TextCutter(Protocol):
    """Cuts text that comes in parts into pieces that can be spoken."""

    def append(self, text: str) -> list[str]: ...
    def flush(self) -> list[str]: ...


@dataclass(slots=True)
class Moments:
    """Moments of an attempt, in seconds of the loop's clock; None: not yet."""

    asked: float
    first_token: float | None = None
    first_piece: float | None = None
    first_sound: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The part that failed, and a short word that says how."""

    part: str
    reason: str


@dataclass(slots=True)
class Speaker:
    """Parts that a reply is made with."""

    answerer: Answerer
    voice: Voice
    cutter: Callable[[], TextCutter]
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)


class Reply:
    """An attempt. `on_sound` is called with each new stretch of sound; `run` returns when all of it is there."""

    def __init__(self, question: Question, speaker: Speaker) -> None:
        self.question = question
        self.track = Track()
        self.moments = Moments(asked=speaker.clock())
        self.failure: Failure | None = None
        self.whole = False
        """Whether no more sound will come."""
        self.on_sound: Callable[[Reply], None] = lambda _: None
        self._speaker = speaker
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()

    async def run(self) -> None:
        """Ask, cut and speak. What fails is in `failure`, and what was spoken before stands.

        Cancelling it cancels the requests.
        """
        reading = asyncio.create_task(self._read(), name="reply.read")
        try:
            await self._speak()
            await reading
        except VoiceError as error:
            self._fail("voice", error.reason)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            self._fail("answerer" if reading.cancelled() else "voice", "cancelled")  # by itself: what it shares ended
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
            self.whole = True
        self.on_sound(self)

    async def _read(self) -> None:
        cutter, now = self._speaker.cutter(), self._speaker.clock
        try:
            async with aclosing(self._speaker.answerer.answer(self.question)) as answer:
                async for part in answer:
                    if not isinstance(part, str):
                        continue
                    self.moments.first_token = self.moments.first_token or now()
                    self._offer(cutter.append(part))
            self._offer(cutter.flush())
        except AnswererError as error:
            self._fail("answerer", error.reason)
            self._offer(cutter.flush())
        finally:
            self._pieces.put_nowait(None)

    def _offer(self, pieces: list[str]) -> None:
        for piece in pieces:
            self.moments.first_piece = self.moments.first_piece or self._speaker.clock()
            self._pieces.put_nowait(piece)

    async def _to_speak(self) -> AsyncGenerator[str, None]:
        while (piece := await self._pieces.get()) is not None:
            self.track.add_piece(piece)
            yield piece

    async def _speak(self) -> None:
        async with aclosing(self._to_speak()) as pieces, aclosing(self._speaker.voice.speak(pieces)) as sounds:
            async for sound in sounds:
                self.track.add_sound(sound.mulaw, sound.piece, last=sound.last, word_ends=sound.word_ends)
                if not sound.mulaw:
                    continue
                self.moments.first_sound = self.moments.first_sound or self._speaker.clock()
                self.on_sound(self)
                if self.track.samples > LONGEST_S * 8000:
                    return

    def _fail(self, part: str, reason: str) -> None:
        self.failure = self.failure or Failure(part, reason)
