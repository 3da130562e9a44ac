"""A second answerer behind the first (`then`): asked when the first fails, or has no text in time.

The caller waits meanwhile, so the first has a share of the time alone: what is left must do for the second, before the
apology at 3.5 s. One that keeps failing is passed over until its rest is over (`speech.breaker`), so that not every
turn waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from batkol.answering.answerer import AnsweredBy, Answerer, AnswererError, AnswerPart, Question
from batkol.answering.opening import EMPTY, Opening
from batkol.speech.breaker import Breaker

THEN_AFTER_MS: Final = 1500
"""The first is asked some 0.3 s after the caller's last sample, so the second has 1.7 s for its text and the sound."""
FAILURES: Final = 2
"""Failures in a row within half a minute, after which the first is passed over."""

RESTING: Final = "resting"
"""The word for a first that was not asked, because it kept failing."""
FAILOVERS: Final = (RESTING, EMPTY, "no_first_token", "unavailable", "server_error", "rate_limited", "unauthorized")
"""The likely words for why the one behind is asked."""

_GRAVE: Final = frozenset({"unauthorized", "forbidden", "not_found", "quota", "redirect"})
"""Reasons that the next question meets, too."""
_OF_THE_QUESTION: Final = frozenset({"content_filter", "too_large"})
"""Reasons that say nothing about the next question."""


class BehindAnswerer:
    """Asks `first`, and behind it `then`. What has begun is not replaced: its error is the answer's.

    `after_ms` is what the first has for its first text or call of a tool. In its rest it is asked only if `then` fails,
    too. `on_failover` gets a short word for each answer that `then` is asked for. If both fail, the error is that of
    the one that was asked first. `names` are those of both in the settings, for `AnsweredBy`.
    """

    def __init__(
        self,
        first: Answerer,
        then: Answerer,
        *,
        names: tuple[str, str] | None = None,
        after_ms: int = THEN_AFTER_MS,
        breaker: Breaker | None = None,
        on_failover: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._first = first
        self._then = then
        self._names = names
        self._after_s = after_ms / 1000
        self._breaker = breaker or Breaker(failures=FAILURES)
        self._on_failover = on_failover

    @property
    def name(self) -> str:
        """See `Answerer.name`: the first one's."""
        return self._first.name

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer.answer`. Closing it cancels the request under way."""
        rests = not self._breaker.allows(asyncio.get_running_loop().time())
        if rests:
            self._on_failover(RESTING)
        failed: AnswererError | None = None
        for answerer in (self._then, self._first) if rests else (self._first, self._then):
            opening = Opening(answerer, question)
            try:
                in_time = answerer is self._first and not rests
                error = await self._opened(opening, self._after_s if in_time else None)
                async with aclosing(self._parts(opening, error)) as parts:
                    async for part in parts:
                        yield part
            finally:
                await opening.close()
            if error is None:
                return
            failed = failed or error
            if in_time:
                self._on_failover(error.reason)
        if failed is not None and failed.reason != EMPTY:
            raise failed

    async def aclose(self) -> None:
        """Do nothing: both are closed by their owner."""

    async def _opened(self, opening: Opening, within_s: float | None) -> AnswererError | None:
        """Wait for the first text; return what came instead."""
        await asyncio.wait((opening.task,), timeout=within_s)
        if opening.task.done():
            error = opening.failure
        else:
            error = AnswererError(
                f"The answerer {opening.answerer.name} sent no text within {within_s:g} s; the one behind it is asked.",
                reason="no_first_token",
                retryable=True,
            )
        if error is not None:
            self._failed(opening.answerer, error)
        return error

    async def _parts(self, opening: Opening, error: AnswererError | None) -> AsyncGenerator[AnswerPart, None]:
        """Yield the answer; of one without a text what it cost."""
        if error is not None:
            for cost in opening.usage:
                yield cost
            return
        try:
            if self._names is not None:
                yield AnsweredBy(self._names[opening.answerer is not self._first])
            async with aclosing(opening.parts()) as parts:
                async for part in parts:
                    yield part
        except AnswererError as stopped:
            self._failed(opening.answerer, stopped)
            raise
        except (GeneratorExit, asyncio.CancelledError):
            self._succeeded(opening.answerer)  # it has begun in time; the rest is not wanted
            raise
        self._succeeded(opening.answerer)

    def _succeeded(self, answerer: Answerer) -> None:
        if answerer is self._first:
            self._breaker.succeed(asyncio.get_running_loop().time())

    def _failed(self, answerer: Answerer, error: AnswererError) -> None:
        if answerer is self._first and error.reason not in _OF_THE_QUESTION:
            now = asyncio.get_running_loop().time()
            self._breaker.fail(now, error.reason, grave=error.reason in _GRAVE)
