"""An answerer over two: the second is asked, too, when the first has no text after a while; the first text wins.

The slowest answers of a model take several times as long as most: 536 ms at the median and 1,771 ms at the 95th
percentile, in a published benchmark. Where two are slow by chance, both are slow far more seldom. It costs one request
more for each attempt that is slow, and never more than one (ADR 0029).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from enum import StrEnum
from typing import Final

from batkol.answering.answerer import AnsweredBy, Answerer, AnswerPart, Question
from batkol.answering.opening import EMPTY, Opening

AFTER_MS: Final = 500


class HedgeOutcome(StrEnum):
    """The outcome of asking the second, for metrics."""

    FIRST = "first"  # its text came first all the same
    SECOND = "second"
    NEITHER = "neither"  # both failed, or the answer was not wanted any more
    REFUSED = "refused"  # the second was not asked: the budget of requests in vain was spent


class HedgedAnswerer:
    """Asks `first`, and after `after_ms` without a text or a call of a tool `second`; the other is cancelled at once.

    A first that fails is no hedge: the second is asked at once. `may_hedge` is asked before a hedge, one of whose two
    requests is in vain; `on_hedge` gets each outcome, `on_failover` the reason of each first that failed. If both fail,
    the error is the first one's. `names` are those of both in the settings, for `AnsweredBy`.
    """

    def __init__(
        self,
        first: Answerer,
        second: Answerer,
        *,
        names: tuple[str, str] | None = None,
        after_ms: int = AFTER_MS,
        may_hedge: Callable[[], bool] = lambda: True,
        on_hedge: Callable[[HedgeOutcome], None] = lambda _: None,
        on_failover: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._first = first
        self._second = second
        self._names = names
        self._after_s = after_ms / 1000
        self._may_hedge = may_hedge
        self._on_hedge = on_hedge
        self._on_failover = on_failover

    @property
    def name(self) -> str:
        """See `Answerer.name`."""
        return "hedged"

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer.answer`. Closing it cancels both requests."""
        async with AsyncExitStack() as stack:
            first = self._begin(self._first, question, stack)
            await asyncio.wait((first.task,), timeout=self._after_s)
            hedged = not first.task.done()
            if hedged and not self._may_hedge():
                self._on_hedge(HedgeOutcome.REFUSED)
                hedged = False
                await asyncio.wait((first.task,))
            winner = first
            if not hedged and (error := first.failure) is not None:
                self._on_failover(error.reason)
            if hedged or first.failure is not None:
                second = self._begin(self._second, question, stack)
                winner = await self._race(first, second, hedged=hedged)
            if self._names is not None and winner.failure is None:
                yield AnsweredBy(self._names[winner is not first])
            async with aclosing(winner.parts()) as parts:
                async for part in parts:
                    yield part

    async def aclose(self) -> None:
        """Do nothing: both are closed by their owner."""

    def _begin(self, answerer: Answerer, question: Question, stack: AsyncExitStack) -> Opening:
        opening = Opening(answerer, question)
        stack.push_async_callback(opening.close)
        return opening

    async def _race(self, first: Opening, second: Opening, *, hedged: bool) -> Opening:
        """Return the one with the first text, the other cancelled; of two without one, the first or its error."""
        outcome = HedgeOutcome.NEITHER
        try:
            winner = await _first_to_begin(first, second)
            if winner is not None:
                outcome = HedgeOutcome.FIRST if winner is first else HedgeOutcome.SECOND
                await (second if winner is first else first).close()
                return winner
        finally:
            if hedged:
                self._on_hedge(outcome)
        if (error := first.failure) is not None and error.reason != EMPTY:
            raise error
        return first


async def _first_to_begin(*openings: Opening) -> Opening | None:
    """Return the opening that has a text first, by the order given where several have; None if none has."""
    waiting = {opening.task for opening in openings}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for opening in openings:
            if opening.task in done and opening.failure is None:
                return opening
    return None
