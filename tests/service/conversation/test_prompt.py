"""What the answerer knows of a call: the time, the caller, and the fields that were saved, at each question anew."""

from __future__ import annotations

import asyncio

import pytest

from batkol.answering.answerer import AnswerPart, HistoryMessage, Role, ToolCall, ToolResult
from batkol.answering.prompted import PromptedAnswerer
from batkol.conversation.agent import AgentSettings
from batkol.conversation.handover import GOES_ON
from batkol.conversation.history import ConversationSoFar
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import Talk, talking

pytestmark = pytest.mark.virtual_time

PROMPT = "Now {{time:UTC}}. Caller {{caller}}, line {{called}}. Known: {{lead}}"
SETTINGS = AgentSettings(prompt=PROMPT, lead_fields={"name": "The name", "seats": {"type": ["integer", "null"]}})
CALLER = "+972541234567"
LINE = "+97239999999"
SAVED = ToolCall("1", "save_lead", '{"name": "דנה", "seats": 2}')
CLEARED = ToolCall("2", "save_lead", '{"seats": null}')


async def asked(talk: Talk, text: str = "מה מספר") -> None:
    await talk.say(text)
    talk.final(text)
    await asyncio.sleep(4)


async def test_the_prompt_has_the_time_of_each_question_and_both_numbers() -> None:
    answerer = ScriptedAnswerer(lambda _: "תודה")
    async with talking(answerer, settings=SETTINGS, caller=CALLER, called=LINE) as talk:
        await asked(talk)
        await asyncio.sleep(5)
        talk.unix_time += 3600
        await asked(talk)

    first, last = answerer.asked[0].prompt, answerer.asked[-1].prompt
    assert first == f"Now יום חמישי, 1 בינואר 1970, 00:00 (שעון UTC). Caller {CALLER}, line {LINE}. Known: {{}}"
    assert "01:00" in last


async def test_the_prompt_has_the_fields_that_were_saved_in_this_call_also_on_the_next_stream() -> None:
    rounds: list[AnswerPart] = [SAVED, "תודה", CLEARED, "תודה"]
    answerer = ScriptedAnswerer(lambda _: [rounds.pop(0)] if rounds else "תודה")
    async with talking(answerer, settings=SETTINGS) as talk:
        await asked(talk)
        await asked(talk, "כמה")
        await asked(talk, "כמה טלפון")
        moved = talk.conversation.so_far(over=True)

    known = [each.prompt.partition("Known: ")[2] for each in answerer.asked]
    assert (known[0], known[-1]) == ("{}", '{"name":"דנה"}')
    assert '{"name":"דנה","seats":2}' in known
    assert moved.lead == {"name": "דנה"}
    async with talking(answerer, settings=SETTINGS, earlier=moved) as talk:
        await asked(talk)
    assert answerer.asked[-1].prompt.endswith('Known: {"name":"דנה"}')


def test_a_record_of_messages_tells_what_was_saved() -> None:
    refused = ToolResult(SAVED, "Refused: no.")
    messages = [
        HistoryMessage(Role.AGENT, "", (ToolResult(SAVED, "saved"), ToolResult(CLEARED, "saved"))),
        HistoryMessage(Role.AGENT, "תודה", (refused, ToolResult(ToolCall("", "save_lead", "[1]"), "saved"))),
    ]
    assert ConversationSoFar.of_messages(messages).lead == {"name": "דנה"}


async def test_a_prompt_by_flag_says_that_the_call_goes_on_where_its_history_is_lost() -> None:
    answerer = ScriptedAnswerer(lambda _: "תודה")
    by_flag = PromptedAnswerer(answerer, "Be terse with {{caller_ending}}.")
    async with talking(by_flag, earlier=ConversationSoFar(greeted=True), caller=CALLER) as talk:
        await asked(talk)

    assert answerer.asked[-1].prompt == f"Be terse with 4567.\n\n{GOES_ON['he']}"
