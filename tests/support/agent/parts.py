"""An answerer whose answer is written down, without a server: for tests in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from batkol.answering.answerer import AnswererError, AnswerPart, Question


class PartsAnswerer:
    """Gives its parts in order; a number is a pause in seconds, and an error is raised."""

    def __init__(self, *parts: AnswerPart | float | AnswererError, name: str = "parts") -> None:
        self.parts = parts
        self.name = name
        self.asked: list[Question] = []
        self.cancelled = 0

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer`."""
        self.asked.append(question)
        try:
            for part in self.parts:
                match part:
                    case int() | float():
                        await asyncio.sleep(part)
                    case AnswererError():
                        raise part
                    case _:
                        yield part
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def aclose(self) -> None:
        """See `Answerer`."""


def failing(reason: str = "unavailable", *, retryable: bool = True) -> AnswererError:
    """Return an error for an answer."""
    return AnswererError("the answerer of the test fails", reason=reason, retryable=retryable)
