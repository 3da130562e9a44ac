"""Who answers and who speaks is chosen for each turn of a call, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from batkol.answering.answerer import HistoryMessage, Role
from batkol.conversation import events
from batkol.conversation.agent import Speakers
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import Talk, talking

pytestmark = pytest.mark.virtual_time


def answering(text: str) -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: text)


async def ask(talk: Talk, text: str) -> None:
    """Say an utterance, and wait until the answer to it has been heard."""
    await talk.say(text)
    talk.final(text)
    await asyncio.sleep(6)


class Switch:
    """Chooses what it is set to."""

    def __init__(self, chosen: Speakers) -> None:
        self.chosen = chosen
        self.asked: list[str] = []

    def __call__(self, call_sid: str) -> Speakers:
        self.asked.append(call_sid)
        return self.chosen


def both() -> tuple[Speakers, Speakers]:
    """Return two choices with nothing in common."""
    first = Speakers(answering("שלום תודה"), SlowVoice(), "one", "low")
    return first, Speakers(answering("אני רוצה"), SlowVoice(first_s=0.2), "two", "high")


async def test_another_answerer_and_another_voice_take_the_next_turn_of_the_call() -> None:
    first, second = both()
    switch = Switch(first)
    async with talking(answering(""), speakers_of=switch) as talk:
        await ask(talk, "מה מספר טלפון")
        switch.chosen = second
        await ask(talk, "מה השעה")

        assert talk.words == ["שלום", "תודה", "אני", "רוצה"]
        began = talk.of(events.AttemptBegan)
        assert [(each.answerer_variant, each.voice_variant) for each in began] == [("one", "low"), ("two", "high")]
        assert set(switch.asked) == {talk.call.call_sid}


async def test_a_turn_ends_with_the_answerer_that_it_began_with() -> None:
    first, second = both()
    switch = Switch(first)
    async with talking(answering(""), speakers_of=switch) as talk:
        talk.begin()
        switch.chosen = replace(second, answerer=None)
        talk.interim("מה")
        await asyncio.sleep(1)
        talk.reaches("מה מספר טלפון")
        await asyncio.sleep(0.3)
        talk.stop()
        talk.final("מה מספר טלפון")
        await asyncio.sleep(6)

        assert talk.words == ["שלום", "תודה"]
        await ask(talk, "מה השעה")
        assert len(talk.of(events.AttemptBegan)) == 1


async def test_an_agent_that_is_switched_on_answers_the_next_turn_and_knows_what_was_said_before() -> None:
    first, _ = both()
    switch = Switch(replace(first, answerer=None))
    async with talking(None, speakers_of=switch) as talk:
        await ask(talk, "מה מספר טלפון")
        assert talk.words == []
        switch.chosen = first
        await ask(talk, "מה השעה")

        assert talk.words == ["שלום", "תודה"]
        assert isinstance(first.answerer, ScriptedAnswerer)
        assert first.answerer.asked[-1].history == (HistoryMessage(Role.CALLER, "מה מספר טלפון"),)


async def test_an_agent_that_is_switched_off_is_silent_and_leaves_a_silent_caller_alone() -> None:
    first, _ = both()
    switch = Switch(first)
    async with talking(answering(""), speakers_of=switch) as talk:
        await ask(talk, "מה מספר טלפון")
        switch.chosen = replace(first, answerer=None)
        await asyncio.sleep(300)
        assert talk.words == ["שלום", "תודה"], "neither the idle question nor the goodbye"
        assert not talk.hung_up

        await ask(talk, "מה השעה")
        assert talk.words == ["שלום", "תודה"]


async def test_an_announcement_is_spoken_by_the_voice_of_its_moment() -> None:
    first, second = both()
    silent = SlowVoice(fails_at=[0])
    switch = Switch(replace(first, answerer=None, voice=silent))
    async with talking(None, speakers_of=switch) as talk:
        talk.api.say("שלום")
        await asyncio.sleep(2)
        switch.chosen = replace(second, answerer=None)
        talk.api.say("תודה")
        await asyncio.sleep(2)

        assert talk.words == ["תודה"]
