"""An answerer over two, each a double of a language model that says when a request was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from batkol.answering.answerer import AnsweredBy, Answerer, AnswererError, AnswerPart, Question, ToolCall, Usage
from batkol.answering.behind import BehindAnswerer
from batkol.answering.hedged import HedgedAnswerer, HedgeOutcome
from batkol.answering.openai import OpenAIAnswerer
from batkol.answering.patience import Limits
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.records import RequestOutcome
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from support.agent.parts import PartsAnswerer
from support.time.waiting import until

ASKED = Question(text="יש תור?")
LONG = "כן, יש תור פנוי מחר בשעה שמונה. "
STALL = LLMFault(kind=LLMFaultKind.STALL)
REFUSE = LLMFault(kind=LLMFaultKind.REFUSE, status=401)


@dataclass
class Two:
    """Two doubles, the answerer over both, and what it told."""

    first: LLMDouble
    second: LLMDouble
    outcomes: list[HedgeOutcome] = field(default_factory=list)
    answerer: HedgedAnswerer = field(init=False)

    async def answer(self) -> str:
        async with aclosing(self.answerer.answer(ASKED)) as parts:
            return "".join([part async for part in parts if isinstance(part, str)])


@asynccontextmanager
async def two(*, after_ms: int = 30, budget: int = 100) -> AsyncIterator[Two]:
    settings = LLMSettings(profile="fixed:0", tokens_per_s=0)
    async with LLMDouble(settings) as first, LLMDouble(settings) as second, asyncio.timeout(30):
        first.script(Rule("", "ראשון"))
        second.script(Rule("", "שני"))
        patient = Limits(first_s=600, whole_s=600)  # so that a cancellation is the hedge's
        made = [OpenAIAnswerer(url=await each.start(), model="gpt-4.1", limits=patient) for each in (first, second)]
        found = Two(first, second)
        found.answerer = HedgedAnswerer(
            *made, after_ms=after_ms, may_hedge=lambda: len(found.outcomes) < budget, on_hedge=found.outcomes.append
        )
        try:
            yield found
        finally:
            for each in made:
                await each.aclose()


async def test_a_first_in_time_is_the_only_one_that_is_asked() -> None:
    async with two(after_ms=5000) as asked:
        assert await asked.answer() == "ראשון"
        assert (len(asked.first.records), len(asked.second.records), asked.outcomes) == (1, 0, [])


async def test_the_second_answers_for_a_first_without_a_text_which_is_cancelled_at_once() -> None:
    async with two() as asked:
        asked.first.inject(STALL)
        asked.second.script(Rule("", LONG))
        async with aclosing(asked.answerer.answer(ASKED)) as parts:
            assert str(await anext(parts))
            await until(lambda: asked.first.records[0].outcome is RequestOutcome.CANCELLED)
            assert asked.second.records[0].outcome is not RequestOutcome.CANCELLED, (
                "the winner's answer is still being read"
            )
            assert [part async for part in parts]
        assert asked.second.records[0].text == LONG
        assert asked.outcomes == [HedgeOutcome.SECOND]
        assert (len(asked.first.records), len(asked.second.records)) == (1, 1), "two requests, and no more"


async def test_a_first_that_is_quicker_all_the_same_wins_and_the_second_is_cancelled() -> None:
    async with two(after_ms=1) as asked:  # the second is asked before the first's time is over, however slowly
        asked.first.inject(LLMFault(kind=LLMFaultKind.STALL, lasts_s=0.5))
        asked.second.inject(STALL)
        assert await asked.answer() == "ראשון"
        await until(lambda: asked.second.records[0].outcome is RequestOutcome.CANCELLED)
        assert asked.outcomes == [HedgeOutcome.FIRST]


async def test_a_first_that_fails_is_no_hedge_and_the_second_is_asked_at_once() -> None:
    async with two(after_ms=60_000, budget=0) as asked:
        asked.first.inject(REFUSE)
        assert await asked.answer() == "שני"
        assert asked.outcomes == []


async def test_a_second_that_fails_leaves_the_first_its_time() -> None:
    async with two() as asked:
        asked.first.inject(LLMFault(kind=LLMFaultKind.STALL, lasts_s=0.2))
        asked.second.inject(REFUSE)
        assert await asked.answer() == "ראשון"


async def test_if_both_fail_the_error_is_the_first_ones() -> None:
    async with two() as asked:
        asked.first.inject(REFUSE)
        asked.second.inject(LLMFault(kind=LLMFaultKind.REFUSE, status=500))
        with pytest.raises(AnswererError) as raised:
            await asked.answer()
        assert raised.value.reason == "unauthorized"


async def test_two_empty_answers_are_an_empty_answer() -> None:
    async with two() as asked:
        for each in (asked.first, asked.second):
            each.inject(LLMFault(kind=LLMFaultKind.EMPTY))
        assert await asked.answer() == ""


async def test_without_a_budget_the_first_is_waited_for() -> None:
    async with two(budget=0) as asked:
        asked.first.inject(LLMFault(kind=LLMFaultKind.STALL, lasts_s=0.2))
        assert await asked.answer() == "ראשון"
        assert (asked.outcomes, len(asked.second.records)) == ([HedgeOutcome.REFUSED], 0)


async def test_closing_it_cancels_both() -> None:
    async with two() as asked:
        for each in (asked.first, asked.second):
            each.inject(STALL)
        answering = asyncio.create_task(asked.answer())
        await until(lambda: len(asked.second.records) == 1)
        answering.cancel()
        for each in (asked.first, asked.second):
            await until(lambda each=each: each.records[0].outcome is RequestOutcome.CANCELLED)  # type: ignore[misc]
        await asyncio.wait([answering])
        assert asked.outcomes == [HedgeOutcome.NEITHER]


@pytest.mark.virtual_time
async def test_a_call_of_a_tool_counts_as_text_and_usage_does_not() -> None:
    call, usage = ToolCall("1", "book", "{}"), Usage(10, 2)
    answerers: tuple[Answerer, Answerer] = (PartsAnswerer(usage, 1.0, "late"), PartsAnswerer(usage, 0.1, call, "text"))
    parts: list[AnswerPart] = [part async for part in HedgedAnswerer(*answerers).answer(ASKED)]
    assert parts == [usage, call, "text"]


@pytest.mark.virtual_time
@pytest.mark.parametrize(("first_s", "by"), [(0.1, "quick"), (2.0, "deep")])
async def test_the_answer_says_which_of_the_two_gives_it_before_its_first_text(first_s: float, by: str) -> None:
    usage = Usage(10, 2)
    answerers: tuple[Answerer, Answerer] = (PartsAnswerer(usage, first_s, "a"), PartsAnswerer(0.1, "a"))
    hedged = HedgedAnswerer(*answerers, names=("quick", "deep"))
    parts: list[AnswerPart] = [part async for part in hedged.answer(ASKED)]
    assert [part for part in parts if part != usage] == [AnsweredBy(by), "a"]


@pytest.mark.virtual_time
async def test_an_answer_without_a_text_says_no_name() -> None:
    hedged = HedgedAnswerer(PartsAnswerer(0.1), PartsAnswerer(0.1), names=("quick", "deep"))
    assert [part async for part in hedged.answer(ASKED)] == []


@pytest.mark.virtual_time
@pytest.mark.parametrize(("first", "by"), [(("a",), ["front", "quick"]), ((), ["behind"])])
async def test_one_in_front_of_another_says_the_inner_name_last(first: tuple[str, ...], by: list[str]) -> None:
    hedged = HedgedAnswerer(PartsAnswerer(0.1, *first), PartsAnswerer(0.1), names=("quick", "deep"))
    answerer = BehindAnswerer(hedged, PartsAnswerer("b"), names=("front", "behind"))
    parts = [part async for part in answerer.answer(ASKED)]
    assert [part.name for part in parts if isinstance(part, AnsweredBy)] == by
    assert parts[-1] == (first or "b")[0]
