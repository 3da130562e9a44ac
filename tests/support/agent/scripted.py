"""An answerer and a voice that take their time, without a server: for the conversation in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

from batkol.answering.answerer import AnswererError, AnswerPart, Question
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.voice import VoiceError, VoiceSound


class ScriptedAnswerer:
    """Answers by a function, after `first_s`, a word each `word_s`. It keeps what it was asked, and what was closed.

    An answer to results of tools comes after `then_s`. The function may return several parts, such as a text and tool
    calls.
    """

    name = "scripted"

    def __init__(
        self,
        answer: Callable[[Question], str | Sequence[AnswerPart]],
        *,
        first_s: float = 0.35,
        then_s: float | None = None,
        word_s: float = 0.02,
        fails: int = 0,
    ) -> None:
        self._answer = answer
        self._first_s = first_s
        self._then_s = first_s if then_s is None else then_s
        self._word_s = word_s
        self.fails = fails
        self.asked: list[Question] = []
        self.cancelled = 0

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer`."""
        self.asked.append(question)
        try:
            await asyncio.sleep(self._then_s if question.results else self._first_s)
            if self.fails:
                self.fails -= 1
                raise AnswererError("the scripted answerer fails", reason="scripted", retryable=True)
            answer = self._answer(question)
            for part in (answer,) if isinstance(answer, str) else answer:
                if not isinstance(part, str):
                    yield part
                    continue
                for word in part.split():
                    yield f"{word} "
                    await asyncio.sleep(self._word_s)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def aclose(self) -> None:
        """See `Answerer`."""


class SlowVoice:
    """The built-in voice, with a pause of `first_s` before each piece."""

    name = "slow"

    def __init__(self, *, first_s: float = 0.15, fails_at: Sequence[int] = ()) -> None:
        self._first_s = first_s
        self._fails_at = fails_at
        self._voice = BuiltinVoice()

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""

        async def slowly() -> AsyncGenerator[str, None]:
            number = 0
            async for piece in pieces:
                await asyncio.sleep(self._first_s)
                if number in self._fails_at:
                    raise VoiceError("the scripted voice fails", reason="scripted", retryable=True)
                number += 1
                yield piece

        async with aclosing(slowly()) as slow, aclosing(self._voice.speak(slow)) as sounds:
            async for sound in sounds:
                yield sound

    async def aclose(self) -> None:
        """See `Voice`."""
