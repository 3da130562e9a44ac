"""A call in text: what is shown of an answer is what was heard, and the history is a call's."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import msgspec
import pytest

from batkol.answering.answerer import AnswererError, HistoryMessage, Question, Role, ToolCall, Usage
from batkol.chat.text_call import FailedAttempt, ShownPiece, TextAgent, TextCall, TurnPart
from batkol.chat.text_tools import DONE, StatedResults, TriedTool
from batkol.conversation.agent import AgentSettings
from batkol.conversation.tools.running import MOST_ROUNDS
from batkol.tools.definition import ToolDefinition
from support.agent.scripted_parts import PartsAnswerer, Script

pytestmark = pytest.mark.virtual_time

FAULT = AnswererError("The answerer is away. Start it.", reason="unavailable", retryable=True)
SETTINGS = AgentSettings(
    prompt="be kind",
    tools=(
        ToolDefinition(name="hang_up"),
        ToolDefinition(
            name="look_up",
            url="https://bot.example.test/look-up",
            parameters=msgspec.Raw(b'{"type":"object","properties":{"day":{"type":"string"}}}'),
        ),
        ToolDefinition(name="other", url="https://bot.example.test/other"),
    ),
    lead_fields={"name": "the caller's name"},
)
LEAD = ToolCall("1", "save_lead", '{"name": "דנה"}')


def call(answerer: PartsAnswerer, greeting: str = "") -> TextCall:
    agent = TextAgent(answerer, SETTINGS, greeting=greeting, apology="סליחה.", goodbye="שלום.")
    return TextCall(agent, StatedResults({"look_up": "מחר"}).post, clock=asyncio.get_running_loop().time)


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
    asked = answerer.asked[0]
    assert asked == Question(
        text="היי", prompt="be kind", call_sid=talk.call_sid, turn=1, tools=asked.tools, facts=asked.facts
    )
    assert [tool.name for tool in asked.tools] == ["hang_up", "save_lead", "look_up", "other"]


async def test_the_prompt_names_what_it_names_in_a_call() -> None:
    answerer = PartsAnswerer([LEAD], ["כן."], ["לא."])
    settings = replace(SETTINGS, prompt="{{time}} {{caller}} {{lead}}", time_zone="Asia/Jerusalem")
    agent = TextAgent(answerer, settings, language="en-US", caller="+972541234567")
    talk = TextCall(agent, StatedResults().post, clock=asyncio.get_running_loop().time, unix_time=lambda: 0.0)
    await said(talk, "אחת")
    await said(talk, "שתיים")

    time = "Thursday, 1 January 1970, 02:00 (Asia/Jerusalem) +972541234567"
    assert [each.prompt for each in answerer.asked] == [f"{time} {{}}", f"{time} {{}}", f'{time} {{"name":"דנה"}}']


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
    assert (second.said, [result.content for result in second.results]) == ("רגע.", ["מחר"])
    assert second.history == answerer.asked[0].history == ()
    assert talk.turn.usage == Usage(29, 5)
    assert [(each.text, [result.content for result in each.results]) for each in talk.history.messages] == [
        ("מתי?", []),
        ("רגע. מחר בעשר.", ["מחר"]),
    ]


async def test_a_second_attempt_calls_no_tool_anew() -> None:
    talk = call(answerer := PartsAnswerer([LEAD], [FAULT], ["נרשם."]))
    await said(talk, "דנה")

    assert [each.call for each in answerer.asked[2].results] == [LEAD]
    assert [(tried.content, tried.outcome) for tried in talk.turn.tools] == [("saved", "done")]


async def test_an_answer_that_calls_tools_without_an_end_fails() -> None:
    talk = call(PartsAnswerer(*([msgspec.structs.replace(LEAD)] for _ in range(MOST_ROUNDS + 3))))
    parts = await said(talk, "דנה")

    assert [part.reason for part in parts if isinstance(part, FailedAttempt)] == ["too_many_calls"] * 2
    assert [tried.outcome for tried in talk.turn.tools[:3]] == ["done", "repeated", "repeated"]
    assert [tried.counts for tried in talk.turn.tools[:3]] == [True, False, False]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (ToolCall("1", "look_up", '{"day": 7}'), "Refused: "),
        (ToolCall("1", "look_down", "{}"), "Refused: there is no tool of that name"),
    ],
)
async def test_a_call_that_a_service_would_refuse_is_refused(wrong: ToolCall, told: str) -> None:
    talk = call(answerer := PartsAnswerer([wrong], ["אין."]))
    await said(talk, "מתי?")

    assert [(tried.outcome, tried.counts) for tried in talk.turn.tools] == [("refused", False)]
    assert answerer.asked[1].results[0].content.startswith(told)


async def test_a_tool_of_which_nothing_is_stated_is_done() -> None:
    talk = call(PartsAnswerer([ToolCall("1", "other", "{}")], ["כן."]))
    await said(talk, "מתי?")

    assert [tried.content for tried in talk.turn.tools] == [DONE]


async def test_a_call_that_the_agent_ends_is_over_after_the_goodbye() -> None:
    talk = call(PartsAnswerer(["להתראות. ", ToolCall("1", "hang_up", "{}")]))
    await said(talk, "ביי")
    silent = call(PartsAnswerer([ToolCall("1", "hang_up", "{}")]))
    await said(silent, "ביי")

    assert (talk.turn.ends_call, talk.turn.text, talk.turn.apologized) == (True, "להתראות.", False)
    assert (silent.turn.ends_call, silent.turn.text, silent.turn.apologized) == (True, "שלום.", False)


async def test_the_times_of_a_turn_count_from_its_question() -> None:
    talk = call(PartsAnswerer([0.35, "שלום ", 0.1, "לך.", 0.5]))
    await said(talk, "היי")
    turn = talk.turn

    assert turn.first_token_s == pytest.approx(0.35)
    assert turn.first_piece_s == pytest.approx(0.95)
    assert turn.whole_s == pytest.approx(0.95)
    assert turn.parts == 2
