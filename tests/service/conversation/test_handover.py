"""A conversation that another stream of its call goes on with, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from batkol.answering.answerer import HistoryMessage, Role, ToolCall, ToolResult
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.conversation.handover import GOES_ON
from batkol.conversation.history import LONGEST, LONGEST_TEXT, MOST_TEXT, ConversationSoFar, History
from batkol.conversation.limits import CallLimits
from batkol.simulators.voice.recognizer import GARBLE
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import talking

pytestmark = pytest.mark.virtual_time

ANSWER = "שלום תודה. מחר בוקר. היום ערב. מה מספר טלפון."
CALLER, AGENT = Role.CALLER, Role.AGENT


def answering(text: str = ANSWER, **about: Any) -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: text, **about)


def so_far(*said: tuple[Role, str], **fields: Any) -> ConversationSoFar:
    messages = tuple(HistoryMessage(*each) for each in said)
    return ConversationSoFar(messages=messages, **{"greeted": True, **fields})


async def test_a_conversation_is_exported_as_the_caller_heard_it() -> None:
    async with talking(answering("שלום תודה"), greeting="מי") as talk:
        await asyncio.sleep(2)
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(4)
        told = talk.conversation.so_far(over=True)

    said = so_far((AGENT, "מי"), (CALLER, "מה מספר"), (AGENT, "שלום תודה"), turns=2)
    assert (told.messages, told.turns, told.greeted, told.unanswered) == (said.messages, 2, True, "")
    assert told.lasted_s == pytest.approx(2 + 1.58 + 4)
    assert (told.samples > 8000, told.characters) == (True, len("שלום תודה"))


async def test_a_reply_under_way_is_exported_up_to_the_word_that_was_heard_and_settled_once() -> None:
    async with talking(answering()) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(2)
        alive = talk.conversation.so_far(over=False)
        assert talk.of(events.ReplySettled) == [], "nothing is settled while the stream goes on"
        over = talk.conversation.so_far(over=True)
        [settled] = talk.of(events.ReplySettled)

    assert alive.messages == over.messages
    assert over.messages[-1] == HistoryMessage(AGENT, settled.heard)
    assert settled.interrupted
    assert 0 < len(settled.heard.split()) < len(ANSWER.split())
    assert talk.of(events.ReplySettled) == [settled]


async def test_words_that_nobody_has_answered_are_exported_with_the_time_that_they_wait() -> None:
    async with talking(answering(first_s=9.0)) as talk:
        await talk.say("מה מספר")
        await asyncio.sleep(0.5)
        told = talk.conversation.so_far(over=True)

    assert told.unanswered == "מה מספר"
    assert told.waited_s == pytest.approx(1.08)
    assert told.turns == 0
    assert not told.greeted


async def test_backchannel_words_spoken_into_a_reply_wait_for_no_answer() -> None:
    async with talking(answering()) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1.5)
        talk.begin()
        talk.interim("כן")
        await asyncio.sleep(0.2)

        assert talk.conversation.so_far(over=True).unanswered == ""


async def test_a_conversation_goes_on_where_another_stream_ended() -> None:
    earlier = so_far((AGENT, "מי"), (CALLER, "כמה"), (AGENT, "היום"), turns=2, announcements=3)
    answerer = answering("מחר")
    async with talking(answerer, greeting="שלום", earlier=earlier) as talk:
        await asyncio.sleep(2)
        assert talk.words == [], "one greeting"
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(3)
        announced = talk.api.say("תודה")
        await asyncio.sleep(3)

    assert talk.words == ["מחר", "תודה"]
    assert answerer.asked[-1].history == earlier.messages
    assert answerer.asked[-1].turn == 3
    assert answerer.asked[-1].prompt == ""
    assert [event.turn for event in talk.of(events.FirstSoundWritten)] == [3, 4]
    assert announced.endswith("-a4")


async def test_the_limits_of_a_call_count_on() -> None:
    earlier = so_far(turns=1, lasted_s=100.0, tokens=7, samples=8000, characters=40)
    settings = AgentSettings(limits=CallLimits(longest_call_s=103.0))
    async with talking(answering("מחר"), earlier=earlier, settings=settings) as talk:
        await asyncio.sleep(2)
        talk.conversation.check_limits(2.0)
        assert not talk.conversation._turns.closing
        told = talk.conversation.so_far(over=False)
        assert told.lasted_s == pytest.approx(102.0)
        assert (told.tokens, told.samples, told.characters) == (7, 8000, 40)
        talk.conversation.check_limits(3.0)
        assert talk.conversation._turns.closing


async def test_a_question_that_was_not_answered_is_answered_at_once_and_the_clock_goes_on() -> None:
    answerer = answering("מחר", first_s=30.0)
    earlier = so_far((AGENT, "מי"), turns=1, unanswered="מה מספר", waited_s=1.0)
    async with talking(answerer, earlier=earlier) as talk:
        await asyncio.sleep(0.45)
        assert [event.phrase for event in talk.of(events.FirstSoundWritten)] == []
        await asyncio.sleep(0.1)
        assert len(talk.of(events.FillerSaid)) == 1, "1.5 s after the caller's last sample, on the other pod"
        await asyncio.sleep(2.1)
        [started] = talk.of(events.FirstSoundWritten)

    assert started.phrase is StockPhrase.APOLOGY
    assert answerer.asked[0].text == "מה מספר"


async def test_words_that_follow_join_the_question_that_was_not_answered() -> None:
    answerer = answering("מחר", first_s=0.8)
    async with talking(answerer, earlier=so_far((AGENT, "מי"), turns=1, unanswered="מה מספר")) as talk:
        await asyncio.sleep(0.2)
        await talk.say("טלפון")
        talk.final("טלפון")
        await asyncio.sleep(4)

    assert talk.words == ["מחר"]
    assert answerer.asked[-1].text == "מה מספר טלפון"


@pytest.mark.parametrize(("prompt", "begin"), [("", ""), ("Be kind.", "Be kind.\n\n")])
async def test_a_prompt_says_that_the_call_goes_on_where_the_history_is_lost(prompt: str, begin: str) -> None:
    answerer = answering("מחר")
    settings = AgentSettings(prompt=prompt)
    async with talking(answerer, greeting="שלום", settings=settings, earlier=so_far()) as talk:
        await asyncio.sleep(2)
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(3)

    assert talk.words == ["מחר"]
    assert answerer.asked[-1].prompt == begin + GOES_ON["he"]


async def test_a_caller_who_has_heard_nothing_is_greeted() -> None:
    async with talking(answering(), greeting="שלום", earlier=ConversationSoFar()) as talk:
        await asyncio.sleep(2)

        assert talk.words == ["שלום"]


async def test_a_call_that_is_about_to_end_ends_with_a_sentence() -> None:
    """Not in the middle of a word: the last sentence that is over in time is the last one that is heard."""
    async with talking(answering()) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1.5)
        left = 2.5
        while left > 0 and talk.line.silent_s == 0:
            talk.conversation.wind_down(left)
            await asyncio.sleep(0.05)
            left -= 0.05
        [settled] = talk.of(events.ReplySettled)

    assert left > 0
    assert settled.heard in {"שלום תודה.", "שלום תודה. מחר בוקר.", "שלום תודה. מחר בוקר. היום ערב."}
    assert " ".join(word for word in talk.words if word != GARBLE) == settled.heard.replace(".", "")


async def test_a_reply_that_is_over_in_time_is_heard_whole() -> None:
    async with talking(answering()) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1.5)
        talk.conversation.wind_down(30.0)
        await asyncio.sleep(10)
        talk.conversation.so_far(over=True)

    assert [settled.heard for settled in talk.of(events.ReplySettled)] == [ANSWER]


async def test_what_a_caller_says_while_the_call_is_about_to_end_waits_for_the_next_stream() -> None:
    async with talking(answering()) as talk:
        talk.begin()
        talk.interim("מה")
        talk.conversation.wind_down(5.0)
        await asyncio.sleep(0.5)
        talk.reaches("מה מספר")
        talk.stop()
        await asyncio.sleep(0.1)
        told = talk.conversation.so_far(over=True)

    assert talk.of(events.AttemptBegan) == []
    assert told.unanswered == "מה מספר"


def test_a_record_of_messages_leaves_the_words_at_its_end_unanswered() -> None:
    messages = [HistoryMessage(AGENT, "מי"), HistoryMessage(CALLER, "מה"), HistoryMessage(CALLER, "כמה")]

    assert ConversationSoFar.of_messages(messages) == so_far((AGENT, "מי"), turns=1, unanswered="מה כמה")
    assert ConversationSoFar.of_messages([]) == ConversationSoFar()


def test_a_record_of_tools_without_a_word_of_the_reply_leaves_the_question_unanswered_and_the_tools_done() -> None:
    """The pod died, or nothing of the answer was heard: a tool that was carried out is not carried out again."""
    booked = ToolResult(ToolCall("", "book", "{}"), "נקבע")
    others = [ToolResult(ToolCall("", "look", "{}"), content) for content in ("Refused: no.", "Failed: no.", "failed")]
    messages = [
        HistoryMessage(AGENT, "מי", (booked,)),
        HistoryMessage(CALLER, "מה"),
        HistoryMessage(AGENT, "", (*others, booked)),
        HistoryMessage(CALLER, "כמה"),
    ]

    found = ConversationSoFar.of_messages(messages)
    assert (found.unanswered, found.done, found.turns, found.messages) == ("מה כמה", (booked,), 1, tuple(messages[:1]))
    assert ConversationSoFar.of_messages(messages[:1]).done == (), "of a turn that was answered"


def test_what_another_pod_says_is_bounded() -> None:
    told = so_far(
        *[(AGENT, f"{number} " + "x" * 1000) for number in range(300)],
        turns=10**12,
        announcements=-5,
        unanswered="y" * 10**6,
        waited_s=1e9,
    ).bounded()

    assert sum(len(message.text) for message in told.messages) <= MOST_TEXT
    assert told.messages[-1].text.startswith("299 "), "the newest are kept"
    assert (told.turns, told.announcements, len(told.unanswered), told.waited_s) == (10**6, 0, LONGEST_TEXT, 60.0)
    assert len(msgspec.json.encode(told)) < 400_000


def test_a_history_goes_on_within_its_limit() -> None:
    history = History()
    entry = history.add_agent()
    history.restore([HistoryMessage(CALLER, str(number)) for number in range(LONGEST)])
    history.set_heard(entry, "שלום")

    assert len(history.messages) == LONGEST
    assert history.messages[-1] == HistoryMessage(AGENT, "שלום")


async def test_words_that_no_answerer_was_asked_about_move_with_the_call() -> None:
    async with talking(None) as talk:
        for text in ("אני רוצה תור", "מחר בבוקר"):
            await talk.say(text)
            talk.final(text)
        told = talk.conversation.so_far(over=True)

    assert told.messages == (HistoryMessage(Role.CALLER, "אני רוצה תור מחר בבוקר"),)
    assert told.unanswered == ""
    async with talking(None, earlier=told) as talk:
        talk.api.say("שלום")
        await asyncio.sleep(3)
        later = talk.conversation.so_far(over=True).messages

    assert [each.text for each in later] == ["אני רוצה תור מחר בבוקר", "שלום"]
