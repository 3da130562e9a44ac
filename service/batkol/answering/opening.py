"""The opening of an answer: the time until its first text or call of a tool, in which another answerer can step in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from batkol.answering.answerer import AnsweredBy, Answerer, AnswererError, AnswerPart, Question, Usage

EMPTY: Final = "empty"
"""The reason of an opening that ended without a text or a call."""


class Opening:
    """One answer that is begun, in a task of its own until its first part. `close` it, whatever becomes of it."""

    def __init__(self, answerer: Answerer, question: Question) -> None:
        self.answerer = answerer
        self._parts = answerer.answer(question)
        self._opened: list[AnswerPart] = []
        self.task: asyncio.Task[None] = asyncio.create_task(self._open(), name="answerer.opening")

    @property
    def failure(self) -> AnswererError | None:
        """The fault that kept a finished opening from having a text or a call; None where it has one."""
        if self._begun:
            return None
        error = None if self.task.cancelled() else self.task.exception()
        if error is not None and not isinstance(error, AnswererError):
            raise error  # a defect
        return error or AnswererError(
            f"The answerer {self.answerer.name} gave an empty answer.", reason=EMPTY, retryable=True
        )

    @property
    def usage(self) -> tuple[Usage, ...]:
        """The cost of one without a text, if the server says it."""
        return () if self._begun else tuple(part for part in self._opened if isinstance(part, Usage))

    async def parts(self) -> AsyncGenerator[AnswerPart, None]:
        """Yield all of the answer, whose opening must be finished. Raises what comes after the opening."""
        for part in self._opened:
            yield part
        async for part in self._parts:
            yield part

    async def close(self) -> None:
        """Cancel what is under way of it, and return when its request is cancelled."""
        self.task.cancel()
        try:
            await asyncio.wait((self.task,))
        finally:
            if self.task.done():  # else it closes what it reads by itself
                await self._parts.aclose()

    @property
    def _begun(self) -> bool:
        return any(not isinstance(part, Usage | AnsweredBy) for part in self._opened)

    async def _open(self) -> None:
        """Read up to the first text or call; without one that is all of the answer."""
        async for part in self._parts:
            self._opened.append(part)
            if not isinstance(part, Usage | AnsweredBy):
                break
