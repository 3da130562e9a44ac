"""A call in text: what is shown of an answer is what was heard, and the history is a call's."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from batkol.answering.answerer import AnswererError, HistoryMessage, Question, Role, ToolCall, Usage
from batkol.chat.stated_tools import DONE, StatedTools
from batkol.chat.text_call import MOST_ROUNDS, FailedAttempt, ShownPiece, TextAgent, TextCall, TriedTool, TurnPart
from support.agent.scripted_parts import PartsAnswerer, Script

pytestmark = pytest.mark.virtual_time

FAULT = AnswererError("The answerer is away. Start it.", reason="unavailable", retryable=True)
LEAD = ToolCall("1", "save_lead", '{"name": "דנה"}')


def call(answerer: PartsAnswerer, greeting: str = "") -> TextCall:
    agent = TextAgent(answerer, prompt="be kind", greeting=greeting, apology="סליחה.")
    return TextCall(agent, StatedTools({"look_up": "מחר"}), clock=asyncio.get_running_loop().time)


async def said(call: TextCall, text: str) -> list[TurnPart]:
    async with aclosing(call.answer(text)) as parts:
        return [part async for part in parts]


def caller(text: str) -> HistoryMessage:
    return HistoryMessage(Role.CALLER, text)


def agent(text: str) -> HistoryMessage:
    return HistoryMessage(Role.AGENT, text)


async def test_an_answer_is_shown_in_the_pieces_that_a_voice_would_speak_and_without_marks_for_the_eye() -> None:
    answerer = PartsAnswerer(["שלום, **מה** ", 0.5, "שלומך? ✨ נדבר", " מחר."])
    talk = call(answerer)

    assert await said(talk, "היי") == [ShownPiece("שלום,"), ShownPiece("מה שלומך?"), ShownPiece("נדבר מחר.")]
    assert talk.history.messages == (caller("היי"), agent("שלום, מה שלומך? נדבר מחר."))
    assert answerer.asked[0] == Question(text="היי", prompt="be kind", call_sid=talk.call_sid, turn=1)


async def test_the_greeting_and_each_turn_are_in_the_next_question() -> None:
    answerer = PartsAnswerer(["כן."], ["לא."])
    talk = call(answerer, greeting="ברוכים הבאים.")
    await said(talk, "אחת")
    await said(talk, "שתיים")

    assert answerer.asked[1].history == (agent("ברוכים הבאים."), caller("אחת"), agent("כן."))
    assert [each.turn for each in answerer.asked] == [1, 2]


async def test_what_is_shown_before_an_interruption_is_what_was_heard() -> None:
    talk = call(answerer := PartsAnswerer(["ראשון, שני. ", 1.0, "שלישי."], ["כן."]))
    async with aclosing(talk.answer("ספר")) as parts:
        assert await anext(parts) == ShownPiece("ראשון,")
    await said(talk, "רגע")

    assert answerer.asked[1].history == (caller("ספר"), agent("ראשון,"))


async def test_words_of_which_nothing_was_answered_are_part_of_the_next_turn() -> None:
    talk = call(answerer := PartsAnswerer([5.0, "מאוחר."], ["כן."]))
    waiting = asyncio.create_task(said(talk, "אני רוצה"))
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait({waiting})
    await said(talk, "תור")

    assert (answerer.asked[1].text, answerer.asked[1].history) == ("אני רוצה תור", ())


@pytest.mark.parametrize(
    ("script", "why"), [([FAULT], str(FAULT)), ([" \n"], "The answerer scripted gave an empty answer.")]
)
async def test_a_turn_without_an_answer_is_asked_once_more_and_then_hears_the_apology(script: Script, why: str) -> None:
    talk = call(answerer := PartsAnswerer(script, script, ["כן."]))
    failed, again, apology = await said(talk, "היי")

    assert [each.error for each in (failed, again) if isinstance(each, FailedAttempt)] == [why, why]
    assert (apology, talk.turn.apologized) == (ShownPiece("סליחה."), True)
    await said(talk, "ועכשיו")
    assert answerer.asked[2].history == (caller("היי"), agent("סליחה."))


async def test_an_answer_that_breaks_off_stands_as_far_as_it_came() -> None:
    talk = call(answerer := PartsAnswerer(["ראשון. ", FAULT]))

    assert await said(talk, "היי") == [ShownPiece("ראשון."), FailedAttempt(str(FAULT), "unavailable")]
    assert (talk.turn.text, talk.turn.apologized, len(answerer.asked)) == ("ראשון.", False, 1)


async def test_an_answer_that_calls_a_tool_goes_on_with_its_result() -> None:
    look_up = ToolCall("7", "look_up", "{}")
    talk = call(answerer := PartsAnswerer(["רגע. ", look_up, Usage(9, 2)], ["מחר בעשר.", Usage(20, 3)]))

    assert await said(talk, "מתי?") == [
        ShownPiece("רגע."),
        TriedTool(look_up, "מחר"),
        ShownPiece("מחר בעשר."),
    ]
    second = answerer.asked[1]
    assert (second.said, [result.content for result in second.results], second.history) == ("רגע. ", ["מחר"], ())
    assert talk.turn.usage == Usage(29, 5)


async def test_a_second_attempt_calls_no_tool_anew() -> None:
    talk = call(answerer := PartsAnswerer([LEAD], [FAULT], ["נרשם."]))
    await said(talk, "דנה")

    assert [each.call for each in answerer.asked[2].results] == [LEAD]
    assert [tried.content for tried in talk.turn.tools] == [DONE]


async def test_an_answer_that_calls_tools_without_an_end_fails() -> None:
    talk = call(PartsAnswerer(*[[LEAD]] * (2 * MOST_ROUNDS + 2)))
    parts = await said(talk, "דנה")

    assert [part.reason for part in parts if isinstance(part, FailedAttempt)] == ["too_many_tools"] * 2


async def test_a_call_that_the_agent_ends_is_over_after_the_goodbye() -> None:
    talk = call(PartsAnswerer(["להתראות. ", ToolCall("1", "hang_up", "{}")]))
    await said(talk, "ביי")

    assert (talk.turn.ends_call, talk.turn.text) == (True, "להתראות.")


async def test_the_times_of_a_turn_count_from_its_question() -> None:
    talk = call(PartsAnswerer([0.35, "שלום ", 0.1, "לך.", 0.5]))
    await said(talk, "היי")
    turn = talk.turn

    assert turn.first_token_s == pytest.approx(0.35)
    assert turn.first_piece_s == pytest.approx(0.95)
    assert turn.whole_s == pytest.approx(0.95)
    assert turn.parts == 2
