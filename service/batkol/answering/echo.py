"""The answerer that says what the caller said, for tests and for trying a line without a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from batkol.answering.answerer import Question


class Echo:
    """Answers at once with the turn's own text; to a turn without text with nothing."""

    @property
    def name(self) -> str:
        """See `Answerer.name`."""
        return "echo"

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """See `Answerer.answer`. Closing it at any moment loses nothing."""
        if text := question.text.strip():
            yield text

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""
