"""Rows of the turn table for words that come late: of an utterance whose final had none, or none that counts."""

from __future__ import annotations

import asyncio

import pytest

from batkol.answering.answerer import Role
from batkol.conversation.actions import (
    Action,
    Announce,
    Ask,
    Cancel,
    CorrectCaller,
    Hold,
    Interrupt,
    Prepare,
    Release,
    SayPhrase,
    StockPhrase,
)
from batkol.conversation.inputs import (
    AnnouncementAsked,
    AnnouncementReady,
    CallerBegan,
    CallerLasted,
    CallerStopped,
    CallOpened,
    ReplyPlayed,
    ReplySounded,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
)
from batkol.conversation.turn import State
from batkol.conversation.turns import Turns
from batkol.transcription import events as heard
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import talking
from support.agent.timed_turns import TimedTurns

FIRST = "אני רוצה תור"
THEN = "מחר בבוקר"
BOTH = f"{FIRST} {THEN}"


class Talk(TimedTurns):
    """A conversation at given times."""

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__(Turns(answers=answers))
        self.then(CallOpened(greet=False))

    def unheard(self, utterance: int = 0, *, failed: bool = False) -> list[Action]:
        """Somebody speaks, and the recognizer has no word of it."""
        self.then(CallerBegan(utterance))
        self.then(CallerStopped(utterance, self.now), 0.5)
        return self.then(TextSettled(utterance, "", failed), 0.2)

    def says(self, utterance: int, text: str, after: float = 0.2) -> list[Action]:
        self.then(CallerBegan(utterance), after)
        self.then(TextChanged(utterance, text), 0.5)
        self.then(CallerStopped(utterance, self.now), 0.3)
        return self.then(TextSettled(utterance, text), 0.1)

    def speaks(self) -> None:
        """The agent is heard: it answers utterance 1."""
        self.says(1, THEN)
        self.then(ReplySounded(self.turns.attempt or 0), 0.2)
        assert self.turns.state is State.SPEAKING


def asked(number: int, text: str) -> list[Action]:
    return [Ask(number, text, speculative=False), Release(number)]


def test_they_join_what_the_caller_says_meanwhile() -> None:
    talk = Talk()
    talk.unheard()
    talk.then(CallerBegan(1), 0.2)
    talk.then(TextChanged(1, THEN), 0.5)
    assert talk.then(TextRevised(0, FIRST), 0.1) == []
    assert talk.then(CallerStopped(1, talk.now), 0.3) == []
    assert talk.then(TextSettled(1, THEN), 0.1) == asked(1, BOTH)


def test_they_are_answered_although_what_goes_on_is_no_speech() -> None:
    talk = Talk()
    talk.unheard()
    talk.then(CallerBegan(1), 0.2)
    talk.then(TextRevised(0, FIRST), 0.1)
    assert talk.wait(1.3) == asked(1, FIRST)


def test_they_join_a_turn_whose_answer_is_prepared() -> None:
    talk = Talk()
    talk.unheard()
    talk.then(CallerBegan(1), 0.2)
    assert talk.then(TextReached(1, THEN), 0.5) == [Ask(1, THEN, speculative=True)]
    assert talk.then(TextRevised(0, FIRST), 0.1) == []
    assert talk.then(CallerStopped(1, talk.now), 0.2) == [Cancel(1), *asked(2, BOTH)]


def test_they_join_a_turn_that_is_committed_and_unheard() -> None:
    talk = Talk()
    talk.unheard()
    assert talk.says(1, THEN) == asked(1, THEN)
    assert talk.then(TextRevised(0, FIRST), 0.1) == [Cancel(1), *asked(2, BOTH)]


def test_after_the_first_sound_they_correct_the_history() -> None:
    talk = Talk()
    talk.unheard()
    talk.speaks()
    assert talk.then(TextRevised(0, FIRST), 0.1) == [CorrectCaller(THEN, BOTH)]
    assert talk.turns.state is State.SPEAKING


def test_they_answer_please_repeat() -> None:
    talk = Talk()
    assert talk.unheard(failed=True) == [SayPhrase(StockPhrase.REPEAT, 1)]
    assert talk.then(TextRevised(0, FIRST), 0.1)[:2] == [Interrupt(1), Cancel(1)]
    assert talk.turns.state is State.THINKING
    assert talk.turns.unanswered == FIRST


def test_words_of_speech_that_held_the_reply_up_join_the_turn_or_interrupt_the_reply() -> None:
    for heard_before in (False, True):
        talk = Talk()
        talk.says(1, THEN)
        assert talk.then(CallerBegan(2), 0.1) == [Hold(1)]
        talk.then(CallerStopped(2, talk.now), 0.2)
        assert talk.then(TextSettled(2, ""), 0.05) == [Release(1)]
        if heard_before:
            talk.then(ReplySounded(1), 0.1)
            assert talk.then(TextRevised(2, FIRST), 0.1) == [Interrupt(1), Cancel(1), *asked(2, FIRST)]
        else:
            assert talk.then(TextRevised(2, FIRST), 0.1) == [Cancel(1), *asked(2, f"{THEN} {FIRST}")]


def test_a_final_that_comes_after_the_reply_went_on_interrupts_it() -> None:
    talk = Talk()
    talk.says(1, THEN)
    assert talk.then(CallerBegan(2), 0.1) == [Hold(1)]
    talk.then(CallerStopped(2, talk.now), 0.2)
    assert talk.wait(0.2) == [Release(1)]  # 350 ms without a word
    talk.then(ReplySounded(1), 0.1)
    assert talk.then(TextSettled(2, FIRST), 0.2) == [Interrupt(1), Cancel(1), *asked(2, FIRST)]


def test_a_final_without_a_word_that_comes_after_the_reply_went_on_changes_nothing() -> None:
    talk = Talk()
    talk.says(1, THEN)
    talk.then(CallerBegan(2), 0.1)
    talk.then(CallerStopped(2, talk.now), 0.2)
    talk.wait(0.2)
    talk.then(ReplySounded(1), 0.1)
    assert talk.then(TextSettled(2, ""), 0.2) == []
    assert talk.then(ReplyPlayed(1), 1.0) == []
    assert talk.wait(5.0) == [], "neither a filler nor an apology: nothing is waited for"


@pytest.mark.parametrize(("final", "corrected", "answered"), [
    ("", FIRST, True), ("", "כן", False), ("כן", FIRST, True), ("כן", "כן כן", False),
])  # fmt: skip
def test_words_of_speech_during_a_reply_are_answered_after_it_if_they_tell_anything(
    final: str, corrected: str, *, answered: bool
) -> None:
    talk = Talk()
    talk.speaks()
    talk.then(CallerBegan(2), 0.1)
    talk.then(CallerStopped(2, talk.now), 0.2)
    talk.then(TextSettled(2, final), 0.2)
    assert talk.then(ReplyPlayed(1), 2.0) == []
    assert talk.then(TextRevised(2, corrected), 0.1) == (asked(2, corrected) if answered else [])


def test_an_echo_of_the_reply_is_answered_under_no_other_text() -> None:
    talk = Talk()
    talk.speaks()
    talk.then(CallerBegan(2), 0.1)
    talk.then(CallerStopped(2, talk.now), 0.2)
    assert talk.then(TextSettled(2, "שלום רב"), 0.2, sounding="שלום רב לכם") == []
    talk.then(ReplyPlayed(1), 2.0)
    assert talk.then(TextRevised(2, "שלום הרב שלכם"), 0.1) == []
    assert talk.turns.unanswered == ""


def test_after_an_interruption_that_had_no_words_they_make_it_one() -> None:
    talk = Talk()
    talk.speaks()
    talk.then(CallerBegan(2), 0.1)
    talk.then(CallerStopped(2, talk.now), 0.2)
    talk.then(TextSettled(2, ""), 0.2)
    talk.then(CallerBegan(3), 0.1)
    assert talk.then(CallerLasted(3), 0.4) == [Interrupt(1)]
    assert talk.then(TextRevised(2, FIRST), 0.1) == [Cancel(1)]
    assert talk.then(CallerStopped(3, talk.now), 0.2) == []
    assert talk.then(TextSettled(3, ""), 0.1) == asked(2, FIRST)


def test_words_that_no_answerer_is_asked_about_are_corrected_before_and_after_an_announcement_answers_them() -> None:
    for announced_before in (False, True):
        talk = Talk(answers=False)
        talk.then(CallerBegan(0))
        talk.then(CallerStopped(0, talk.now), 0.5)
        talk.then(TextReached(0, FIRST), 0.1)  # it is passed over before its final
        assert talk.turns.unanswered == ""
        late = [] if announced_before else talk.then(TextSettled(0, BOTH), 0.1)
        assert talk.then(AnnouncementAsked(1)) == [Prepare(1)]
        announced = talk.then(AnnouncementReady(1), 0.1)
        assert (late, announced) == ([], [Announce(1, 1, FIRST if announced_before else BOTH)])
        if announced_before:
            assert talk.then(TextSettled(0, BOTH), 0.1) == [CorrectCaller(FIRST, BOTH)]


def test_a_correction_with_words_is_news_for_an_announcement_that_waits_for_noise_to_give_way() -> None:
    talk = Talk(answers=False)
    talk.unheard()
    talk.then(CallerBegan(1))
    assert talk.then(AnnouncementAsked(1), 0.1) == [Prepare(1)]
    assert talk.then(AnnouncementReady(1), 0.1) == []
    assert talk.then(TextRevised(0, FIRST), 3.7) == []
    assert talk.wait(3.9) == []
    assert talk.wait(0.2) == [Announce(1, 1, FIRST)]


@pytest.mark.virtual_time
async def test_the_next_question_has_all_that_the_caller_said() -> None:
    said = ScriptedAnswerer(lambda _: "שלום תודה.")
    async with talking(said) as talk:
        first = talk.begin()
        await asyncio.sleep(0.5)
        talk.stop()
        talk.final("")
        await talk.say(THEN)
        talk.final(THEN)
        await asyncio.sleep(0.7)
        talk.conversation.observe(heard.RevisionReady(first, FIRST))
        await asyncio.sleep(4)
        await talk.say("תודה רבה")
        await asyncio.sleep(4)

    assert [question.text for question in said.asked] == [THEN, "תודה רבה"]
    assert [message.text for message in said.asked[1].history if message.role is Role.CALLER] == [BOTH]
