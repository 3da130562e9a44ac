"""What a caller hears when the line, the process, or the end of speech is late: the answer, if there is one.

At the ear, in virtual time. `test_put_off` has the rules of the turn table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.inputs import EndAsked
from batkol.speech.utterance import Source
from batkol.voices.voice import VoiceSound
from support.agent import talk as talks
from support.agent.fragments import same
from support.agent.parts import PartsAnswerer
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import Talk, talking
from support.time.virtual import virtual_loop

pytestmark = pytest.mark.virtual_time

QUESTION: Final = "מה מספר"
ANSWER: Final = "מחר בוקר."
WORDS: Final = ["מחר", "בוקר"]
LATER: Final = ["היום", "ערב"]
FILLER: Final = ["בבקשה"]
APOLOGY: Final = ["תודה", "שלום"]
GOODBYE: Final = ["שלום", "תודה"]
APOLOGY_S: Final = 3.5 - 0.16  # after the last sample, which is exact here; the detector's is 0.16 s late
ASKED_S: Final = 0.25  # after it `ask` has its text
LINE: Final = "[AGENT] the line takes no sound; the answer is ready, and the caller hears it when the line goes on"


def answering(first_s: float = 0.35, text: str = ANSWER) -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: text, first_s=first_s)


async def ask(talk: Talk, text: str = QUESTION) -> None:
    """Ask, and return 0.58 s after the last sample."""
    await talk.say(text)
    talk.final(text)


def failures(talk: Talk) -> list[tuple[str, str]]:
    return [(event.part, event.reason) for event in talk.of(events.AttemptFailed)]


def apology_at(talk: Talk) -> float:
    """Return when the ear heard the apology begin, by the loop's clock."""
    return next(word.begins_at for word in talk.ear.ear.words() if word.text == APOLOGY[0])


def said_of_the_line(logs: Any) -> int:
    return [entry["event"] for entry in logs].count(LINE)


# The line stands still


@pytest.mark.parametrize("held_s", [2.0, 6.0, 15.0])
async def test_an_answer_that_waits_in_the_line_is_heard_when_the_line_goes_on(held_s: float) -> None:
    with capture_logs() as logs:
        async with talking(answering()) as talk:
            await talk.say(QUESTION)
            talk.ear.hold()
            talk.final(QUESTION)
            await asyncio.sleep(held_s)
            assert talk.words == []
            talk.ear.go_on()
            await asyncio.sleep(4)

            assert talk.words == WORDS, "no filler behind it, and no apology in its place"
            assert len(talk.of(events.FirstSoundWritten)) == 1
            assert failures(talk) == [], "the answerer and the voice were in time"
    assert said_of_the_line(logs) == {2.0: 0, 6.0: 1, 15.0: 4}[held_s]


async def test_an_answer_that_waits_in_the_line_behind_the_filler_is_heard_behind_it() -> None:
    async with talking(answering(1.9)) as talk:
        await ask(talk)
        await asyncio.sleep(0.5)
        talk.ear.hold()
        await asyncio.sleep(5)
        assert talk.words == []
        talk.ear.go_on()
        await asyncio.sleep(4)

        assert talk.words == [*FILLER, *WORDS]
        assert failures(talk) == []


async def test_a_filler_that_is_longer_than_the_time_of_the_apology_costs_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    longer = "בבקשה אני רוצה פגישה מחר כמה מספר"
    monkeypatch.setitem(talks.PHRASE_TEXTS, StockPhrase.FILLER, longer)
    with capture_logs() as logs:
        async with talking(answering(1.9)) as talk:
            await ask(talk)
            await asyncio.sleep(9)

            assert talk.words == [*longer.split(), *WORDS]
            assert "clear" not in talk.ear.described
            assert failures(talk) == []
    assert said_of_the_line(logs) == 0, "the line plays"


async def test_a_line_that_stands_still_in_the_middle_of_an_answer_costs_none_of_it() -> None:
    async with talking(PartsAnswerer(0.3, ANSWER + " ", 1.5, "היום ערב.")) as talk:
        await ask(talk)
        await asyncio.sleep(0.5)
        assert len(talk.of(events.FirstSoundWritten)) == 1
        talk.ear.hold()
        await asyncio.sleep(6)
        talk.ear.go_on()
        await asyncio.sleep(4)

        assert same(talk.words, [*WORDS, *LATER]), "the word in which the line stood still has two parts"
        assert [ended.intended for ended in talk.of(events.ReplySettled)] == ["מחר בוקר. היום ערב."]
        assert failures(talk) == []


async def test_an_apology_that_the_line_holds_up_is_said_once_and_the_next_question_is_answered() -> None:
    answerer = PartsAnswerer(40.0, ANSWER)
    async with talking(answerer) as talk:
        await ask(talk)
        await asyncio.sleep(2.5)
        talk.ear.hold()
        await asyncio.sleep(6)
        talk.ear.go_on()
        await asyncio.sleep(3)
        assert talk.words == [*FILLER, *APOLOGY]
        assert len(talk.of(events.FillerSaid)) == len(talk.of(events.FirstSoundWritten)) == 1
        assert failures(talk) == [("answerer", "stalled")]

        answerer.parts = 0.35, ANSWER
        await ask(talk)
        await asyncio.sleep(3)
        assert talk.words == [*FILLER, *APOLOGY, *WORDS]


async def test_an_answer_that_waits_in_the_line_is_heard_before_the_call_ends() -> None:
    async with talking(answering()) as talk:
        await talk.say(QUESTION)
        talk.ear.hold()
        talk.final(QUESTION)
        await asyncio.sleep(0.3)
        talk.conversation.end(EndAsked())
        await asyncio.sleep(9)
        talk.ear.go_on()
        await asyncio.sleep(5)

        assert talk.words == [*WORDS, *GOODBYE]
        assert failures(talk) == []


async def test_a_line_that_stands_still_until_the_call_must_end_is_named() -> None:
    async with talking(answering()) as talk:
        await talk.say(QUESTION)
        talk.ear.hold()
        talk.final(QUESTION)
        await asyncio.sleep(0.3)
        talk.conversation.end(EndAsked(goodbye=False))
        await asyncio.sleep(31)

        assert talk.hung_up
        assert failures(talk) == [("line", "stalled")]


# The end of speech, or its words, are known late


@pytest.mark.parametrize("late_s", [3.0, 5.0, 20.0])
async def test_an_end_of_speech_that_is_known_late_leaves_the_answerer_its_time(late_s: float) -> None:
    """As when the caller's media stands still behind the last word."""
    async with talking(answering()) as talk:
        talk.begin()
        talk.reaches(QUESTION)
        talk.stop(ago_s=late_s)
        talk.final(QUESTION)
        await asyncio.sleep(4)

        assert talk.words == [*FILLER, *WORDS]
        assert failures(talk) == []


@pytest.mark.parametrize("late_s", [1.5, 3.2, 3.6, 20.0])
async def test_an_answer_that_is_ready_when_the_end_of_speech_is_known_late_is_heard_at_once(late_s: float) -> None:
    async with talking(answering()) as talk:
        talk.begin()
        talk.reaches(QUESTION)
        await asyncio.sleep(1.0)
        talk.stop(ago_s=late_s)
        talk.final(QUESTION)
        await asyncio.sleep(4)

        assert talk.words == WORDS, "no filler, and no apology"
        assert failures(talk) == []


async def test_an_answerer_that_does_not_come_after_a_late_end_of_speech_has_two_seconds() -> None:
    async with talking(answering(40.0)) as talk:
        talk.begin()
        talk.reaches(QUESTION)
        talk.stop(ago_s=5.0)
        begun = asyncio.get_running_loop().time()
        talk.final(QUESTION)
        await asyncio.sleep(4)

        assert talk.words == [*FILLER, *APOLOGY]
        assert apology_at(talk) - begun == pytest.approx(2.0, abs=0.06)
        assert failures(talk) == [("answerer", "stalled")]


async def test_an_end_of_speech_that_takes_long_to_tell_leaves_the_caller_the_apology_in_time() -> None:
    """As with a long `VAD_SILENCE_MS`: the media is in time."""
    async with talking(answering(40.0)) as talk:
        talk.begin()
        talk.reaches(QUESTION)
        talk.stop(ago_s=2.0, silence_s=2.0)
        last = asyncio.get_running_loop().time() - 2.0
        talk.final(QUESTION)
        await asyncio.sleep(4)

        assert talk.words == [*FILLER, *APOLOGY]
        assert apology_at(talk) - last == pytest.approx(APOLOGY_S, abs=0.06)


async def test_words_that_are_known_late_leave_the_caller_the_apology_in_time() -> None:
    """The recognizer alone is late: no caller waits longer for that."""
    async with talking(answering()) as talk:
        talk.begin()
        await asyncio.sleep(1)
        talk.stop()
        last = asyncio.get_running_loop().time() - 0.58
        await asyncio.sleep(2.5)
        talk.final(QUESTION, Source.SINGLE)
        await asyncio.sleep(4)

        assert talk.words == [*FILLER, *APOLOGY]
        assert apology_at(talk) - last == pytest.approx(APOLOGY_S, abs=0.06)


async def test_an_answer_whose_first_token_comes_after_three_seconds_leaves_the_caller_the_apology_in_time() -> None:
    """The voice has its words, and has no time left for them: it is the part that is waited for."""
    async with talking(answering(3.0 - ASKED_S), voice=SlowVoice(first_s=0.6)) as talk:
        await ask(talk)
        last = asyncio.get_running_loop().time() - 0.58
        await asyncio.sleep(7)

        assert talk.words == [*FILLER, *APOLOGY]
        assert apology_at(talk) - last == pytest.approx(APOLOGY_S, abs=0.06)
        assert failures(talk) == [("voice", "stalled")]


async def test_a_voice_that_hangs_before_it_takes_its_words_is_named() -> None:
    async with talking(answering(2.0), voice=FirstThenHangs()) as talk:
        await ask(talk)
        await asyncio.sleep(8)

        assert talk.words == [*FILLER, *APOLOGY]
        assert failures(talk) == [("voice", "stalled")]


class FirstThenHangs:
    """Speaks the phrases, and hangs with its first piece of an answer before it takes that."""

    name = "hangs"

    def __init__(self) -> None:
        self._voice = SlowVoice()
        self._phrases = len(talks.PHRASE_TEXTS)

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""
        self._phrases -= 1
        if self._phrases < 0:
            await asyncio.Event().wait()
        async with aclosing(self._voice.speak(pieces)) as sounds:
            async for sound in sounds:
                yield sound

    async def aclose(self) -> None:
        """See `Voice`."""


# The process stands still


async def test_an_answer_that_comes_while_the_process_stands_still_is_heard() -> None:
    async with talking(answering(1.9), voice=SlowVoice(first_s=0.05)) as talk:
        await ask(talk)
        await asyncio.sleep(0.9)  # the filler is said
        virtual_loop().stall(4.0)
        await asyncio.sleep(4)

        assert talk.words == [*FILLER, *WORDS]
        assert failures(talk) == []


async def test_an_answer_that_comes_while_the_process_stands_still_has_no_filler_before_it() -> None:
    async with talking(answering(0.9), voice=SlowVoice(first_s=0.05)) as talk:
        await ask(talk)
        virtual_loop().stall(5.0)
        await asyncio.sleep(4)

        assert talk.words == WORDS
        assert failures(talk) == []


async def test_the_rest_of_an_answer_that_comes_while_the_process_stands_still_is_heard() -> None:
    answerer = PartsAnswerer(0.3, ANSWER + " ", 2.5, "היום ערב.")
    async with talking(answerer, voice=SlowVoice(first_s=0.05)) as talk:
        await ask(talk)
        await asyncio.sleep(1.9)
        assert talk.words == WORDS
        virtual_loop().stall(5.0)
        await asyncio.sleep(4)

        assert talk.words == [*WORDS, *LATER]
        assert failures(talk) == []


async def test_an_answerer_that_has_not_answered_after_the_process_stood_still_is_named() -> None:
    async with talking(answering(40.0)) as talk:
        await ask(talk)
        await asyncio.sleep(0.9)
        virtual_loop().stall(4.0)
        await asyncio.sleep(4)

        assert talk.words == [*FILLER, *APOLOGY]
        assert failures(talk) == [("answerer", "stalled")]


async def test_a_caller_who_spoke_while_the_process_stood_still_is_not_asked_whether_they_are_there() -> None:
    async with talking(answering()) as talk:
        await asyncio.sleep(9.5)
        asyncio.get_running_loop().call_later(0.8, talk.begin)  # what is due first is the question to a silent caller
        virtual_loop().stall(2.0)
        await asyncio.sleep(0.9)
        talk.reaches(QUESTION)
        await asyncio.sleep(0.4)
        talk.stop()
        talk.final(QUESTION)
        await asyncio.sleep(4)

        assert talk.words == WORDS
