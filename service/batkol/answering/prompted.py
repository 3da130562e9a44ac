"""An answerer with instructions of its own, so that a prompt can be tried by flag."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from batkol.answering.answerer import Answerer, AnswerPart, Question


class PromptedAnswerer:
    """Asks another one, with its own instructions in the place of the agent's."""

    def __init__(self, answerer: Answerer, prompt: str) -> None:
        self._answerer = answerer
        self._prompt = prompt

    @property
    def name(self) -> str:
        """See `Answerer.name`."""
        return self._answerer.name

    def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer.answer`."""
        prompt = self._prompt if question.facts is None else question.facts.fill(self._prompt)
        return self._answerer.answer(msgspec.structs.replace(question, prompt=prompt))

    async def aclose(self) -> None:
        """See `Answerer.aclose`."""
        await self._answerer.aclose()
