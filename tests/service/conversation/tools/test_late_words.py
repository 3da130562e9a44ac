"""Questions for a tool whose words come late: what was known before the first sound of the reply has its tool call."""

from __future__ import annotations

import asyncio
import random
from typing import Final, NamedTuple

import pytest

from batkol.answering.answerer import AnswerPart, Question, Role, ToolCall
from batkol.conversation import events
from batkol.conversation.agent import AgentSettings
from batkol.conversation.tools.lead import SAVED
from batkol.conversation.tools.running import OTHER_WORDS
from batkol.transcription import events as heard
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import Talk, talking
from support.properties import examples
from support.time.virtual import in_virtual_time

pytestmark = pytest.mark.virtual_time

WHOLE: Final = "אני רוצה תור"
HALVES: Final = ("אני רוצה", "אני רוצה תו", WHOLE)
SETTINGS: Final = AgentSettings(lead_fields={"day": "The day"})
QUESTIONS: Final = 4
"""Of one conversation."""
_MARGIN_S: Final = 0.05
"""Seconds by which a result must be earlier than the first sound to be known before it."""


class Asked(NamedTuple):
    """One question: when its words were known, when its reply sounded, and how often its tool was carried out."""

    known_at: float
    sounded_at: float
    done: int


def _answer(question: Question) -> list[AnswerPart]:
    """Answer as a model does that saves a lead for whoever wants an appointment."""
    if question.results:
        return ["מחר תור."]
    return [ToolCall("c1", "save_lead", '{"day": "מחר"}')] if "תור" in question.text else ["שלום תודה."]


async def test_a_correction_before_the_first_sound_is_answered_and_not_the_words_before_it() -> None:
    said = ScriptedAnswerer(_answer, first_s=1.0)
    async with talking(said, settings=SETTINGS) as talk:
        await talk.say("אני רוצה תו")
        talk.final("אני רוצה תו")
        await asyncio.sleep(0.2)
        talk.revises(WHOLE)
        await asyncio.sleep(6)

    assert [question.text for question in said.asked] == ["אני רוצה תו", WHOLE, WHOLE]
    assert len(talk.of(events.FirstSoundWritten)) == 1
    assert [event.outcome.value for event in talk.of(events.ToolEnded)] == ["done"]


@pytest.mark.parametrize("corrects", ["final", "correction"])
async def test_words_that_are_known_after_the_first_sound_bring_no_other_reply_and_are_in_the_history(
    corrects: str,
) -> None:
    said = ScriptedAnswerer(_answer)
    async with talking(said, settings=SETTINGS) as talk:
        await talk.say("אני רוצה תו")
        if corrects == "correction":
            talk.final("אני רוצה תו")
        await asyncio.sleep(1)
        assert len(talk.of(events.FirstSoundWritten)) == 1
        talk.final(WHOLE) if corrects == "final" else talk.revises(WHOLE)
        await asyncio.sleep(5)
        assert (len(said.asked), talk.of(events.ToolEnded)) == (1, [])
        await talk.say("מה מספר")
        await asyncio.sleep(5)

    assert [message.text for message in said.asked[-1].history if message.role is Role.CALLER] == [WHOLE]


def _of_the_words(question: Question) -> list[AnswerPart]:
    """Call the tool with the caller's words, and say what was done."""
    done = [each for each in question.results if each.content == SAVED]
    return ["מחר תור."] if done else [ToolCall("c1", "save_lead", f'{{"day": "{question.text}"}}')]


def _saved(talk: Talk) -> list[str]:
    """Return the words that the tool was called for, and how each call ended."""
    return [f"{event.arguments[9:-2]}: {event.outcome.value}" for event in talk.of(events.ToolEnded)]


async def test_no_tool_is_carried_out_for_half_of_the_words_that_the_turn_was_committed_on() -> None:
    said = ScriptedAnswerer(_of_the_words)
    async with talking(said, settings=SETTINGS) as talk:
        await talk.say("אני רוצה תו")  # committed, and the answer is there, which calls the tool
        await asyncio.sleep(0.3)
        assert _saved(talk) == []
        talk.final(WHOLE)
        await asyncio.sleep(5)

    assert _saved(talk) == [f"{WHOLE}: done"]
    assert len(talk.of(events.FirstSoundWritten)) == 1


@pytest.mark.parametrize("said_before", ["", "בבקשה."], ids=["first", "behind a text"])
@pytest.mark.parametrize(("final_s", "waits_s"), [(0.0, 0.0), (0.4, 0.4), (None, 0.6)], ids=["known", "late", "never"])
async def test_a_tool_call_waits_for_the_final_of_the_words_but_not_for_ever(
    final_s: float | None, waits_s: float, said_before: str
) -> None:
    def answer(question: Question) -> list[AnswerPart]:
        return [*([said_before] if said_before and not question.said else []), *_of_the_words(question)]

    clock = asyncio.get_running_loop().time
    async with talking(ScriptedAnswerer(answer, first_s=0.3), settings=SETTINGS) as talk:
        await talk.say(WHOLE)
        committed = clock()
        if final_s is not None:
            await asyncio.sleep(final_s)
            talk.final(WHOLE)
        while not _saved(talk):
            await asyncio.sleep(0.01)
        assert clock() - committed == pytest.approx(waits_s, abs=0.02)
        await asyncio.sleep(5)

    assert _saved(talk) == [f"{WHOLE}: done"]


async def test_a_call_for_half_of_the_words_is_refused_when_the_reply_is_heard_already_and_made_anew() -> None:
    def answer(question: Question) -> list[AnswerPart]:
        return [*([] if question.said else ["בבקשה."]), *_of_the_words(question)]

    said = ScriptedAnswerer(answer)
    async with talking(said, settings=SETTINGS) as talk:
        await talk.say("אני רוצה תו")
        await asyncio.sleep(0.3)
        assert (len(talk.of(events.FirstSoundWritten)), _saved(talk)) == (1, [])
        talk.final(WHOLE)
        await asyncio.sleep(5)
        heard_words = talk.words

    assert _saved(talk) == ["אני רוצה תו: refused", f"{WHOLE}: done"]
    assert [(each.text, len(each.results)) for each in said.asked] == [("אני רוצה תו", 0), (WHOLE, 1), (WHOLE, 2)]
    assert said.asked[1].results[0].content == OTHER_WORDS
    assert heard_words == ["בבקשה", "מחר", "תור"]
    assert len(talk.of(events.FirstSoundWritten)) == 1


async def test_words_that_are_corrected_twice_before_the_reply_have_their_own_tool_call_alone() -> None:
    said = ScriptedAnswerer(_of_the_words, first_s=0.5)
    async with talking(said, settings=SETTINGS) as talk:
        await talk.say("אני רוצה")
        talk.final("אני רוצה תו")
        await asyncio.sleep(0.1)
        talk.revises(WHOLE)  # the reply was asked for anew once already
        await asyncio.sleep(5)

    assert _saved(talk) == ["אני רוצה תו: refused", f"{WHOLE}: done"]
    assert len(talk.of(events.FirstSoundWritten)) == 1


@pytest.mark.day_and_night
def test_a_question_whose_words_are_known_before_the_reply_has_one_tool_call_and_one_reply() -> None:
    seeds = 2 if examples(1) == 1 else 100
    found = [
        each
        for seed in range(seeds)
        for each in in_virtual_time(_questions(seed), disorder=random.Random(seed), late_s=0.02)
    ]

    known = [each for each in found if each.known_at < each.sounded_at - _MARGIN_S]
    late = [each for each in found if each.known_at > each.sounded_at + _MARGIN_S]
    assert len(known) > len(found) / 2
    assert late, "the seeds have words that are known too late as well"
    assert [each for each in known if each.done != 1] == []
    assert [each for each in late if each.done] == []


async def _questions(seed: int) -> list[Asked]:
    """Hold a conversation with a recognizer that knows the last word late, and coughs between question and answer."""
    draw = random.Random(seed)
    found = []
    async with talking(ScriptedAnswerer(_answer, first_s=draw.uniform(0.1, 1.2)), settings=SETTINGS) as talk:
        for number in range(QUESTIONS):
            sounded = asyncio.create_task(_moment_of_reply(talk, number))
            known_at = await _ask(talk, draw)
            sounded_at = await sounded
            while len(talk.of(events.ReplySettled)) == number:
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            done = sum(event.turn == number + 1 for event in talk.of(events.ToolEnded))
            found.append(Asked(known_at, sounded_at, done))
        assert len(talk.of(events.FirstSoundWritten)) == QUESTIONS
    return found


async def _moment_of_reply(talk: Talk, number: int) -> float:
    while len(talk.of(events.FirstSoundWritten)) == number:
        await asyncio.sleep(0.02)
    return asyncio.get_running_loop().time()


async def _ask(talk: Talk, draw: random.Random) -> float:
    """Say the question; return when all of its words were known, which may be when its reply is heard."""
    clock, text = asyncio.get_running_loop().time, draw.choice(HALVES)
    question = talk.begin()
    await asyncio.sleep(0.6)
    talk.interim("אני רוצה")
    await asyncio.sleep(0.5)
    talk.reaches(text)
    known_at = clock()
    await asyncio.sleep(0.33)
    talk.stop()
    cough = asyncio.create_task(_cough(talk, draw.uniform(0.02, 0.6))) if draw.random() < 0.3 else None
    await asyncio.sleep(draw.uniform(0.0, 0.3))
    if text != WHOLE and draw.random() < 0.4 and talk.utterance is question:  # a later tentative has the last word
        talk.reaches(WHOLE)
        text, known_at = WHOLE, clock()
        await asyncio.sleep(draw.uniform(0.0, 0.3))
    final = draw.choice((text, WHOLE))
    talk.conversation.observe(heard.FinalReady(question, final))
    if text != WHOLE:
        known_at = clock()
    if final != WHOLE:
        await asyncio.sleep(draw.uniform(0.0, 0.8))
        talk.conversation.observe(heard.RevisionReady(question, WHOLE))
        known_at = clock()
    if cough is not None:
        await cough
    return known_at


async def _cough(talk: Talk, after_s: float) -> None:
    await asyncio.sleep(after_s)
    talk.begin()
    await asyncio.sleep(0.2)
    talk.stop(ago_s=0.1)
    await asyncio.sleep(0.1)
    talk.final("")
