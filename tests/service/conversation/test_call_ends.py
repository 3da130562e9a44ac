"""A conversation that ends its call, over its real playout to the caller's ear, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from batkol.answering.answerer import Usage
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.conversation.announcements import LineClosedError
from batkol.conversation.inputs import EndAsked
from batkol.conversation.limits import CallLimits
from batkol.speech.turn_thresholds import TurnThresholds
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import Talk, talking

pytestmark = pytest.mark.virtual_time

QUICK = AgentSettings(thresholds=TurnThresholds(keys_pause_ms=500))


def echo() -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda question: f"תודה {question.text}")


async def hung_up(talk: Talk) -> float:
    """Wait for the end; return when it was asked for."""
    loop = asyncio.get_running_loop()
    while not talk.hung_up:
        await asyncio.sleep(0.02)
    return loop.time()


async def test_the_goodbye_is_heard_to_its_end_before_the_call_is_hung_up() -> None:
    async with talking(echo(), delay_s=0.15, holds_s=0.1) as talk:
        talk.api.say("מחר שלום")
        await asyncio.sleep(0.5)
        talk.conversation.end(EndAsked())
        with pytest.raises(LineClosedError):
            talk.conversation.end(EndAsked())
        await hung_up(talk)
        heard_all = await talk.line.wait_echo(2.0)
        words = talk.words

    assert heard_all
    assert words == ["מחר", "שלום", "שלום", "תודה"]
    assert [event.phrase for event in talk.of(events.FirstSoundWritten)] == [None, StockPhrase.GOODBYE]


async def test_the_echo_of_a_mark_says_that_the_ear_has_heard_it_and_its_loss_is_waited_for_in_vain() -> None:
    loop = asyncio.get_running_loop()
    for echoes in (True, False):
        async with talking(echo(), delay_s=0.2, holds_s=0.2, echoes=echoes) as talk:
            talk.api.say("מחר שלום")
            await asyncio.sleep(0.5)
            heard = await talk.line.wait_echo(2.0)
            at = loop.time()
            await asyncio.sleep(3)

        assert heard is echoes
        assert talk.words == ["מחר", "שלום"]
        assert max(word.ends_at for word in talk.ear.ear.words()) <= at


async def test_keys_are_the_caller_s_words_for_the_answerer_and_the_history() -> None:
    answerer = echo()
    async with talking(answerer, settings=QUICK) as talk:
        for key in "12":
            talk.conversation.press(key)
            await asyncio.sleep(0.2)
        await asyncio.sleep(6)
        talk.conversation.press("3")
        talk.conversation.press("#")
        await asyncio.sleep(6)

    assert [question.text for question in answerer.asked] == ["הקיש/ה 1 2", "הקיש/ה 3"]
    assert answerer.asked[1].history[0].text == "הקיש/ה 1 2"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (CallLimits(longest_call_s=60.0), "longest_call"),
        (CallLimits(characters=4), "characters_spent"),
        (CallLimits(minutes=0.001), "minutes_spent"),
        (CallLimits(tokens=24), "tokens_spent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_limit_is_said_and_ends_the_call(limits: CallLimits, reason: str) -> None:
    answerer = ScriptedAnswerer(lambda question: (question.text, Usage(20, 4)))
    async with talking(answerer, settings=replace(QUICK, limits=limits)) as talk:
        talk.conversation.check_limits(0.0)
        await talk.say("שלום")
        talk.final("שלום")
        await asyncio.sleep(4)
        assert not talk.hung_up
        talk.conversation.check_limits(60.0)
        await hung_up(talk)

    assert talk.reasons == [reason]
    assert talk.words[-2:] == ["שלום", "תודה"], "the goodbye, where no phrase of the limit has a sound"
    shares = talk.conversation.budgets_used()
    assert [f"{budget}_spent" for budget, share in shares.items() if share >= 1] == [reason] * len(shares)


async def test_what_a_program_says_costs_as_much() -> None:
    async with talking(None, settings=replace(QUICK, limits=CallLimits(characters=9))) as talk:
        talk.api.say("שלום")
        await asyncio.sleep(2)
        talk.conversation.check_limits(0.0)
        assert not talk.hung_up
        talk.api.say("תודה שלום")
        await asyncio.sleep(0.5)
        talk.conversation.check_limits(0.0)
        await hung_up(talk)

    assert talk.reasons == ["characters_spent"]
    assert talk.words[-2:] == ["תודה", "שלום"], "what is said is finished"


async def test_without_limits_a_call_goes_on() -> None:
    async with talking(echo()) as talk:
        talk.conversation.check_limits(1e9)
        await asyncio.sleep(1)

    assert not talk.hung_up
