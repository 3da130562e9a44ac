"""Who answers and who speaks is chosen for each turn of a call, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from batkol.answering.answerer import HistoryMessage, Role
from batkol.answering.behind import BehindAnswerer
from batkol.answering.hedged import HedgedAnswerer
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import Speakers
from support.agent.parts import PartsAnswerer, failing
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import Talk, spoken, talking

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


async def test_a_turn_ends_with_the_answerer_that_it_began_with_also_where_the_caller_speaks_on() -> None:
    first, second = both()
    switch = Switch(first)
    async with talking(answering(""), speakers_of=switch) as talk:
        talk.begin()
        await asyncio.sleep(1)
        talk.stop()
        talk.final("אני רוצה אבל")
        switch.chosen = replace(second, answerer=None)
        await asyncio.sleep(0.2)
        await talk.say("מה מספר טלפון")
        talk.final("מה מספר טלפון")
        await asyncio.sleep(6)

        assert talk.words == ["שלום", "תודה"]
        assert isinstance(first.answerer, ScriptedAnswerer)
        assert first.answerer.asked[-1].text == "אני רוצה אבל מה מספר טלפון"
        asked = len(first.answerer.asked)
        await ask(talk, "מה השעה")
        assert len(talk.of(events.AttemptBegan)) == asked


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


@pytest.mark.parametrize(
    "first",
    [PartsAnswerer(9.0, "late"), PartsAnswerer(0.2, failing("server_error")), PartsAnswerer(0.2)],
    ids=["stalls", "fails", "is empty"],
)
async def test_one_behind_a_dead_first_is_heard_before_the_apology_and_at_the_third_turn_at_once(
    first: PartsAnswerer,
) -> None:
    then = answering("שלום תודה")
    speakers = Speakers(BehindAnswerer(first, then), SlowVoice())
    async with talking(answering(""), speakers_of=lambda _: speakers) as talk:
        for _ in range(3):
            await ask(talk, "מה מספר טלפון")

        began = talk.of(events.FirstSoundWritten)
        assert [each.phrase for each in began] == [None, None, None], "answers, and no apology"
        totals = [each.latency.total for each in began]
        assert max(totals) < 3.5
        assert totals[2] < 0.8, "as without the first"
        assert len(first.asked) == 2


async def test_a_turn_whose_two_answerers_are_silent_has_the_filler_and_the_apology_in_time() -> None:
    silent = PartsAnswerer(60.0), PartsAnswerer(60.0)
    speakers = Speakers(HedgedAnswerer(*silent), SlowVoice())
    async with talking(answering(""), speakers_of=lambda _: speakers) as talk:
        await ask(talk, "מה מספר טלפון")

        assert len(talk.of(events.FillerSaid)) == 1
        assert [each.phrase for each in talk.of(events.FirstSoundWritten)] == [StockPhrase.APOLOGY]
        assert [each.cancelled for each in silent] == [len(each.asked) for each in silent], "nothing goes on unheard"


async def test_the_phrases_are_those_of_the_voice() -> None:
    first, second = both()
    phrase = await spoken(SlowVoice(), "בוקר")
    switch = Switch(first)
    async with talking(answering(""), speakers_of=switch) as talk:
        switch.chosen = replace(second, answerer=PartsAnswerer(failing()), phrase=lambda _: phrase)
        await ask(talk, "מה מספר טלפון")
        assert talk.words[-1] == "בוקר"


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
