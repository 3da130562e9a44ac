"""Defects, echoes and other mishaps of one conversation over its real playout, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from structlog.testing import capture_logs

from batkol.answering.answerer import AnswerPart, Question
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase, Unsaid
from batkol.conversation.agent import AgentSettings
from batkol.simulators.voice.recognizer import GARBLE
from batkol.speech.turn_thresholds import TurnThresholds
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import talking

pytestmark = pytest.mark.virtual_time

ANSWER = "שלום אני רוצה לקבוע פגישה מחר בבוקר תודה"


def answering(text: str = ANSWER, **about: float) -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: text, **about)  # type: ignore[arg-type]


class Defective(ScriptedAnswerer):
    """Raises what is no `AnswererError` after a few words."""

    def __init__(self, error: BaseException, words: int = 0) -> None:
        super().__init__(lambda _: ANSWER)
        self._error = error
        self._words = words

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        self.asked.append(question)
        for word in ANSWER.split()[: self._words]:
            yield f"{word} "
        await asyncio.sleep(1.5)
        raise self._error


async def test_an_echo_at_the_end_of_the_reply_is_not_answered() -> None:
    answerer = answering()
    async with talking(answerer) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1.5)
        talk.begin()
        await asyncio.sleep(0.3)
        talk.interim("אני רוצה")
        await asyncio.sleep(0.3)
        talk.stop(ago_s=0.2)
        talk.final("אני רוצה")
        await asyncio.sleep(8)
        assert len(answerer.asked) == len(talk.of(events.FirstSoundWritten)) == 1


async def test_a_reply_that_was_heard_when_the_clear_took_effect_was_not_interrupted() -> None:
    async with talking(answering("שלום"), delay_s=0.3) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1)
        while not 0 < (ahead := talk.line.queued_to - talk.line.position) <= 1600:  # 200 ms, of 300 that it takes
            assert ahead
            await asyncio.sleep(0.02)
        talk.begin()
        talk.interim("רגע רגע")
        await asyncio.sleep(0.5)

        [settled] = [event for event in talk.seen if isinstance(event, events.ReplyCut | events.ReplySettled)]
        assert isinstance(settled, events.ReplySettled)
        assert (settled.heard, settled.interrupted) == ("שלום", False)


async def test_a_defect_silences_the_reply_and_costs_an_apology() -> None:
    async with talking(Defective(KeyError("x"), 8)) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(6)

        broken, apology = talk.of(events.ReplySettled)
        said = broken.heard.split()
        assert broken.interrupted
        assert 0 < len(said) < len(ANSWER.split())
        assert [word for word in talk.words if word != GARBLE] == [*said, *apology.heard.split()]
        assert talk.of(events.FirstSoundWritten)[-1].phrase is StockPhrase.APOLOGY
        assert talk.of(events.FillerSaid) == []
        await asyncio.sleep(8)
        assert talk.words[-1] == "איפה", "a caller who says nothing is asked"


async def test_after_a_defect_the_next_turn_is_answered() -> None:
    class Once(ScriptedAnswerer):
        async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
            if not self.asked:
                self.asked.append(question)
                raise KeyError("defect")
            async for each in super().answer(question):
                yield each

    answerer = Once(lambda _: "מחר")
    async with talking(answerer) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(4)
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(4)
        assert talk.words == ["תודה", "שלום", "מחר"]


async def test_after_the_last_defect_nothing_is_kept() -> None:
    async with talking(Defective(KeyError("x"))) as talk:
        for _ in range(4):
            await talk.say("מה מספר")
            talk.final("מה מספר")
            await asyncio.sleep(6)
        assert not talk.conversation._inputs


def defect(*_: object) -> None:
    raise KeyError("a defect")


async def test_an_observer_that_raises_keeps_no_announcement_and_no_mark_waiting() -> None:
    """The caller hears a defect's apology, and each program its mark: one failing observer stands in nobody's way."""
    async with talking(answering(), greeting="שלום אני רוצה לקבוע פגישה") as talk:
        await asyncio.sleep(0.5)
        for text in ("שלום", "תודה", "מחר"):
            talk.api.say(text)
            talk.api.mark(text)
        api, observe = talk.api, talk.call.observe
        object.__setattr__(talk.call, "observe", defect)
        with pytest.raises(KeyError):
            api.close(Unsaid.DEFECT)
        object.__setattr__(talk.call, "observe", observe)
        api.close(Unsaid.DEFECT)
        talk.conversation.clear()
        await asyncio.sleep(1)

        assert talk.ear.marks == ["שלום", "תודה", "מחר"]
        assert talk.of(events.AnnouncementUnsaid) == []


@pytest.mark.parametrize("part", ["settings", "phrase", "observe", "hang_up", "since", "play"])
async def test_no_defect_goes_into_the_call(part: str) -> None:
    """What the conversation is given fails from the first turn on; `talking` raises what its tasks end with."""
    settings = AgentSettings(thresholds=TurnThresholds(idle_ms=500))
    with capture_logs() as logs:
        async with talking(answering("שלום"), settings=settings) as talk:
            for owner in (talk.agent, talk.call, talk.line):
                if hasattr(owner, part):
                    object.__setattr__(owner, part, defect)
            for _ in range(4):
                talk.begin()
                talk.interim("מה מספר")
                talk.stop()
                talk.final("מה מספר")
                await asyncio.sleep(1)
            await asyncio.sleep(6)

    assert [line for line in logs if "by a defect of the service" in line["event"]]


@pytest.mark.parametrize("words", [0, 8])
async def test_an_answerer_that_is_cancelled_by_itself_does_not_leave_a_dead_call(words: int) -> None:
    async with talking(Defective(asyncio.CancelledError(), words)) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(8)
        assert len(talk.of(events.ReplySettled)) == len(talk.of(events.FirstSoundWritten)) >= 1
        assert talk.words[-1] != GARBLE


async def test_apology_that_is_interrupted_before_its_first_sound_is_told_as_nothing() -> None:
    async with talking(answering(first_s=60)) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        while talk.line.silent_s:
            await asyncio.sleep(0.005)
        talk.begin()
        talk.lasts()
        await asyncio.sleep(6)
        assert all(e.reply_id for e in talk.of(events.ReplyContinued))
        assert len(talk.of(events.ReplySettled)) == len(talk.of(events.FirstSoundWritten)) >= 1


async def test_a_held_reply_whose_sound_comes_is_silent_until_the_speech_was_none() -> None:
    async with talking(answering("שלום", first_s=0.5)) as talk:
        await talk.say("מה מספר")
        await asyncio.sleep(0.25)
        talk.begin()
        await asyncio.sleep(0.3)  # its sound is there after 90 ms, and speech without words is none after 350
        assert talk.of(events.FirstSoundWritten) == []
        await asyncio.sleep(0.2)
        assert len(talk.of(events.FirstSoundWritten)) == 1


async def test_tuning_holds_from_the_next_utterance_on() -> None:
    async with talking(answering(first_s=60)) as talk:
        tuned = AgentSettings(thresholds=TurnThresholds(filler_ms=700, apology_ms=10_000))
        object.__setattr__(talk.agent, "settings", lambda: tuned)
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(0.3)
        assert len(talk.of(events.FillerSaid)) == 1
