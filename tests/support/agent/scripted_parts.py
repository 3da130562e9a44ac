"""An answerer that yields the parts of a script: text, calls of tools, usage, pauses and a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TypeAlias

from batkol.answering.answerer import AnswererError, AnswerPart, Question

Script: TypeAlias = Sequence[AnswerPart | AnswererError | float]


class PartsAnswerer:
    """Answers each question by the next script; a number is a pause in seconds. It keeps what it was asked."""

    name = "scripted"

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.asked: list[Question] = []

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer`."""
        self.asked.append(question)
        for part in self._scripts.pop(0):
            match part:
                case AnswererError():
                    raise part
                case float():
                    await asyncio.sleep(part)
                case _:
                    yield part

    async def aclose(self) -> None:
        """See `Answerer`."""
