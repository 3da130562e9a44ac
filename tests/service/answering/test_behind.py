"""A second answerer behind the first: when it is asked, how long the first is waited for, and when it rests."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from batkol.answering.answerer import AnswererError, AnswerPart, Question, ToolCall, Usage
from batkol.answering.behind import THEN_AFTER_MS, BehindAnswerer
from batkol.answering.openai import OpenAIAnswerer
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.records import RequestOutcome
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from support.agent.parts import PartsAnswerer, failing
from support.time.waiting import until

ASKED = Question(text="יש תור?")


class Pair:
    """A first, one behind it, and the words that were told of it."""

    def __init__(self, first: PartsAnswerer, then: PartsAnswerer | None = None) -> None:
        self.first, self.then = first, then or PartsAnswerer("then")
        self.told: list[str] = []
        self.answerer = BehindAnswerer(self.first, self.then, on_failover=self.told.append)

    async def ask(self) -> tuple[list[AnswerPart], float]:
        """Return the answer, and how long it took."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with aclosing(self.answerer.answer(ASKED)) as parts:
            return [part async for part in parts], clock() - began


@pytest.mark.virtual_time
async def test_the_first_alone_is_asked_while_it_answers_in_time() -> None:
    pair = Pair(PartsAnswerer(1.4, "first ", 3.0, "goes on"))
    assert (await pair.ask())[0] == ["first ", "goes on"]
    assert (pair.told, pair.then.asked, pair.answerer.name) == ([], [], "parts")


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("first", "told", "after_s"),
    [
        (PartsAnswerer(0.1, failing("server_error")), "server_error", 0.1),
        (PartsAnswerer(0.1), "empty", 0.1),
        (PartsAnswerer(9.0, "late"), "no_first_token", THEN_AFTER_MS / 1000),
    ],
    ids=["fails", "is empty", "stalls"],
)
async def test_the_one_behind_answers_for_a_first_that_does_not(
    first: PartsAnswerer, told: str, after_s: float
) -> None:
    pair = Pair(first)
    parts, took = await pair.ask()
    assert (parts, pair.told) == (["then"], [told])
    assert took == pytest.approx(after_s)
    assert first.cancelled == (told == "no_first_token"), "a first that is given up is cancelled"


@pytest.mark.virtual_time
async def test_what_has_begun_is_not_replaced() -> None:
    pair = Pair(PartsAnswerer(ToolCall("", "book", "{}"), failing("cut_off")))
    with pytest.raises(AnswererError) as raised:
        await pair.ask()
    assert (raised.value.reason, pair.then.asked) == ("cut_off", [])


@pytest.mark.virtual_time
async def test_a_dead_first_is_not_waited_for_at_each_turn_and_is_tried_again_after_its_rest() -> None:
    pair = Pair(PartsAnswerer(9.0, "late"))
    took = [(await pair.ask())[1] for _ in range(4)]
    assert took == pytest.approx([1.5, 1.5, 0.0, 0.0])
    assert pair.told == ["no_first_token", "no_first_token", "resting", "resting"]

    await asyncio.sleep(11)
    pair.first.parts = ("better",)
    assert [(await pair.ask())[0] for _ in range(2)] == [["better"]] * 2


@pytest.mark.virtual_time
@pytest.mark.parametrize("reason", ["unauthorized", "not_found"])
async def test_a_refusal_that_the_next_question_meets_too_is_enough_for_a_rest(reason: str) -> None:
    pair = Pair(PartsAnswerer(failing(reason, retryable=False)))
    for _ in range(2):
        await pair.ask()
    assert (len(pair.first.asked), pair.told) == (1, [reason, "resting"])


@pytest.mark.virtual_time
async def test_a_refusal_of_one_question_is_none_of_the_next() -> None:
    pair = Pair(PartsAnswerer(failing("content_filter", retryable=False)))
    for _ in range(5):
        await pair.ask()
    assert len(pair.first.asked) == 5


@pytest.mark.virtual_time
async def test_an_answer_that_stops_in_its_middle_again_and_again_sends_the_first_to_rest() -> None:
    pair = Pair(PartsAnswerer("half", failing("stalled")))
    for _ in range(2):
        with pytest.raises(AnswererError):
            await pair.ask()
    assert (await pair.ask())[0] == ["then"]


@pytest.mark.virtual_time
async def test_in_its_rest_the_first_is_better_than_nothing() -> None:
    pair = Pair(PartsAnswerer(failing("forbidden")))
    await pair.ask()
    pair.first.parts, pair.then.parts = (3.0, "first"), (failing(),)
    assert (await pair.ask())[0] == ["first"], "nobody is behind it: it is waited for"


@pytest.mark.virtual_time
async def test_if_both_fail_the_error_is_that_of_the_one_that_was_asked_first() -> None:
    pair = Pair(PartsAnswerer(failing("quota")), PartsAnswerer(failing("rate_limited")))
    for reason in ("quota", "rate_limited"):
        with pytest.raises(AnswererError) as raised:
            await pair.ask()
        assert raised.value.reason == reason
    assert pair.told == ["quota", "resting"], "one word for each answer that the one behind was asked for"


@pytest.mark.virtual_time
async def test_the_cost_of_an_empty_answer_is_told() -> None:
    pair = Pair(PartsAnswerer(Usage(10, 0)), PartsAnswerer(Usage(20, 0)))
    assert (await pair.ask())[0] == [Usage(10, 0), Usage(20, 0)]


async def test_over_the_wire_a_first_that_stalls_is_cancelled_before_the_one_behind_it_is_asked() -> None:
    settings = LLMSettings(profile="fixed:0", tokens_per_s=0)
    async with LLMDouble(settings) as first, LLMDouble(settings) as then, asyncio.timeout(30):
        first.inject(LLMFault(kind=LLMFaultKind.STALL))
        then.script(Rule("", "שני"))
        made = [OpenAIAnswerer(url=await each.start(), model="gpt-4.1") for each in (first, then)]
        async with aclosing(BehindAnswerer(*made, after_ms=50).answer(ASKED)) as parts:
            assert "".join([part async for part in parts if isinstance(part, str)]) == "שני"
        await until(lambda: first.records[0].outcome is RequestOutcome.CANCELLED)
        assert (len(first.records), len(then.records)) == (1, 1)
        for each in made:
            await each.aclose()


@pytest.mark.virtual_time
async def test_an_answer_that_was_interrupted_has_not_failed() -> None:
    """Else callers who interrupt, and one failure between, would have the first rest."""
    pair = Pair(PartsAnswerer(failing("server_error")))
    await pair.ask()
    pair.first.parts = ("a", 9.0, "b")
    async with aclosing(pair.answerer.answer(ASKED)) as parts:
        assert await anext(parts) == "a"
    pair.first.parts = (failing("server_error"),)
    await pair.ask()
    pair.first.parts = ("well",)

    assert (await pair.ask())[0] == ["well"]
