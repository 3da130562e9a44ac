"""The echo answers with what the caller said."""

from __future__ import annotations

from contextlib import aclosing

from batkol.answering.answerer import Answerer, AnswerPart, HistoryMessage, Question, Role
from batkol.answering.echo import Echo


async def answered(answerer: Answerer, question: Question) -> list[AnswerPart]:
    async with aclosing(answerer.answer(question)) as parts:
        return [part async for part in parts]


async def test_the_turns_own_text_is_the_answer() -> None:
    history = (HistoryMessage(Role.CALLER, "כן"), HistoryMessage(Role.AGENT, "בסדר"))

    assert await answered(Echo(), Question(text=" מה שלומך? ", history=history, prompt="ענה בקצרה")) == ["מה שלומך?"]
    assert Echo().name == "echo"


async def test_a_turn_without_text_has_an_empty_answer() -> None:
    assert await answered(Echo(), Question(text=" \n")) == []
    await Echo().aclose()
