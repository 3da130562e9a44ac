"""The turn table's rows for announcements: what the API says waits for its turn, and gives way to the caller."""

from __future__ import annotations

import pytest

from batkol.conversation.actions import (
    Action,
    Announce,
    Ask,
    Cancel,
    Discard,
    HangUp,
    Interrupt,
    Prepare,
    Release,
    Resume,
    SayPhrase,
    StockPhrase,
    Unsaid,
)
from batkol.conversation.inputs import (
    AnnouncementAsked,
    AnnouncementLost,
    AnnouncementReady,
    AttemptLost,
    CallClosing,
    CallerBegan,
    CallerLasted,
    CallerPaused,
    CallerStopped,
    CallOpened,
    ClearAsked,
    ReplyPlayed,
    ReplySounded,
    ServiceFailed,
    TextChanged,
    TextReached,
    TextSettled,
)
from batkol.conversation.turn import State
from batkol.conversation.turns import Turns
from support.agent.timed_turns import TimedTurns

QUESTION = "מה השעה עכשיו"


class Talk(TimedTurns):
    """A conversation at given times."""

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__(Turns(answers=answers))
        self.then(CallOpened(greet=False))

    def announced(self, number: int = 1, *, urgent: bool = False) -> list[Action]:
        """An announcement comes, and its voice gives sound at once if it was asked."""
        done = self.then(AnnouncementAsked(number, urgent))
        return done + self.then(AnnouncementReady(number)) if Prepare(number) in done else done

    def speaks(self, utterance: int = 0, text: str = QUESTION) -> None:
        """The caller says an utterance, of which the end is not known so far."""
        self.then(CallerBegan(utterance))
        self.then(TextChanged(utterance, text), 0.5)

    def thinks(self) -> None:
        """The caller has asked, and the answer, attempt 1, is prepared."""
        self.speaks()
        self.then(CallerStopped(0, self.now), 0.5)
        assert self.then(TextSettled(0, QUESTION)) == [Ask(1, QUESTION, speculative=False), Release(1)]

    def answers(self) -> None:
        """The answer is heard."""
        self.thinks()
        self.then(ReplySounded(1), 0.2)


both = pytest.mark.parametrize("answers", [True, False], ids=["with an answerer", "without"])


@both
def test_an_announcement_in_silence_is_said_as_soon_as_it_sounds(answers: bool) -> None:
    talk = Talk(answers=answers)
    assert talk.then(AnnouncementAsked(1)) == [Prepare(1)]
    assert talk.then(AnnouncementReady(1), 0.3) == [Announce(1, 1)]
    assert talk.turns.state is State.SPEAKING


@both
def test_an_announcement_waits_until_the_caller_has_finished(answers: bool) -> None:
    talk = Talk(answers=answers)
    talk.then(CallerBegan(0))
    assert talk.announced() == [Prepare(1)]
    talk.then(CallerStopped(0, talk.now), 1.0)
    done = talk.then(TextSettled(0, ""), 0.1)
    assert (Announce(1, 1) in done) is answers, "with an answerer the final decides whether there is a question"
    assert talk.turns.state is State.SPEAKING


def test_without_an_answerer_it_begins_at_the_end_of_speech_and_answers_the_words() -> None:
    talk = Talk(answers=False)
    talk.speaks()
    talk.then(TextReached(0, QUESTION), 0.1)
    assert talk.announced() == [Prepare(1)]
    assert talk.then(CallerStopped(0, talk.now), 0.3) == [Announce(1, 1, QUESTION)]
    assert talk.then(TextSettled(0, QUESTION), 0.3) == [], "the final of what was answered"


def test_without_an_answerer_words_that_were_passed_over_belong_to_the_next_announcement() -> None:
    talk = Talk(answers=False)
    for utterance, text in enumerate(("שלום", QUESTION)):
        talk.speaks(utterance, text)
        talk.then(CallerStopped(utterance, talk.now), 0.5)
        assert talk.then(TextSettled(utterance, text), 0.3) == []
    assert talk.turns.deadline is None, "no phrase, no idle question, no goodbye"
    assert talk.announced() == [Prepare(1), Announce(1, 1, f"שלום {QUESTION}")]
    talk.then(ReplyPlayed(1), 1.0)
    assert talk.turns.deadline is None
    assert talk.announced(2) == [Prepare(2), Announce(2, 2)]


def test_without_an_answerer_a_defect_and_unknown_words_are_not_excused() -> None:
    talk = Talk(answers=False)
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.5)
    assert talk.then(TextSettled(0, "", failed=True), 0.5) == []
    assert talk.then(ServiceFailed()) == []
    assert talk.turns.state is State.LISTENING


@both
def test_speech_that_brings_nothing_new_gives_way_after_four_seconds(answers: bool) -> None:
    talk = Talk(answers=answers)
    talk.then(CallerBegan(0))
    assert talk.announced() == [Prepare(1)]
    assert talk.wait(3.99) == []
    assert talk.wait(0.02) == [Announce(1, 1)]
    assert talk.turns.state is State.YIELDING, "the noise goes on"


def test_words_need_no_handling_while_nothing_answers_them_and_nothing_is_said() -> None:
    words = TextChanged(0, "אני רוצה")
    talk = Talk(answers=False)
    talk.then(CallerBegan(0))
    assert talk.turns.overhears(words, talk.now + 3.0)
    assert talk.turns.deadline is None
    talk.announced()
    assert not talk.turns.overhears(words, talk.now), "they may put the announcement off"
    assert talk.wait(6.99) == [], "three seconds, and four without a word"
    assert talk.wait(0.02) == [Announce(1, 1)]
    assert not talk.turns.overhears(words, talk.now), "they may interrupt it"
    assert talk.then(TextChanged(0, "רגע")) == [Interrupt(1), Cancel(1)]


def test_words_put_an_announcement_off() -> None:
    talk = Talk(answers=False)
    talk.speaks()
    talk.announced()
    assert talk.then(TextChanged(0, f"{QUESTION} בבקשה"), 3.5) == []
    assert talk.wait(3.9) == []
    assert [type(action) for action in talk.wait(0.2)] == [Announce]


def test_an_announcement_waits_for_the_answer_that_is_prepared() -> None:
    talk = Talk()
    talk.thinks()
    assert talk.announced() == [Prepare(1)]
    assert talk.then(ReplySounded(1), 0.3) == []
    assert talk.then(ReplyPlayed(1), 2.0) == [Announce(1, 2)]


def test_an_announcement_waits_for_the_final_of_the_caller() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 1.0)
    assert talk.announced() == [Prepare(1)]
    done = talk.then(TextSettled(0, QUESTION), 0.2)
    assert done == [Ask(1, QUESTION, speculative=False), Release(1)]


def test_an_answer_that_fails_gives_its_place_to_the_apology_and_then_the_announcement() -> None:
    talk = Talk()
    talk.thinks()
    talk.announced()
    assert talk.then(AttemptLost(1)) == [Ask(2, QUESTION, speculative=False), Release(2)]
    assert talk.then(AttemptLost(2)) == [SayPhrase(StockPhrase.APOLOGY, 3, QUESTION)]
    assert talk.then(ReplyPlayed(3), 1.0) == [Announce(1, 4)]


def test_several_are_said_in_order_and_the_voice_speaks_one_ahead() -> None:
    talk = Talk()
    assert talk.announced(1) == [Prepare(1), Announce(1, 1)]
    assert talk.announced(2) == [Prepare(2)]
    assert talk.announced(3) == []
    assert talk.then(ReplyPlayed(1), 1.0) == [Announce(2, 2), Prepare(3)]
    assert talk.then(ReplyPlayed(2), 1.0) == [], "the third has no sound so far"
    assert talk.then(AnnouncementReady(3), 0.1) == [Announce(3, 3)]


def test_one_that_has_no_sound_gives_its_place_to_the_next() -> None:
    talk = Talk()
    talk.then(AnnouncementAsked(1))
    talk.then(AnnouncementAsked(2))
    assert talk.then(AnnouncementLost(1)) == [Prepare(2)]
    assert talk.then(AnnouncementReady(2)) == [Announce(2, 1)]


def test_the_caller_interrupts_an_announcement_and_what_waited_is_dropped() -> None:
    talk = Talk(answers=False)
    talk.announced(1)
    talk.announced(2)
    talk.announced(3)
    talk.then(CallerBegan(0), 1.0)
    assert talk.then(CallerLasted(0), 0.4) == [Interrupt(1)]
    assert talk.then(AnnouncementAsked(4), 0.1) == [], "it came after the interruption"
    done = talk.then(TextChanged(0, "בעצם אני"), 0.3)
    assert done == [Cancel(1), Discard(2, Unsaid.INTERRUPTED), Discard(3, Unsaid.INTERRUPTED), Prepare(4)]
    assert talk.then(AnnouncementReady(4)) == []
    assert talk.then(CallerStopped(0, talk.now), 0.4) == [Announce(4, 2, "בעצם אני")]


def test_an_interruption_of_an_answer_drops_the_announcement_behind_it() -> None:
    talk = Talk()
    talk.answers()
    talk.announced()
    talk.then(CallerBegan(1), 1.0)
    done = talk.then(TextChanged(1, "רגע"), 0.2)
    assert done == [Interrupt(1), Cancel(1), Discard(1, Unsaid.INTERRUPTED)]


@both
def test_noise_that_interrupts_drops_nothing(answers: bool) -> None:
    talk = Talk(answers=answers)
    talk.announced(1)
    talk.announced(2)
    talk.then(CallerBegan(0), 1.0)
    assert talk.then(CallerLasted(0), 0.4) == [Interrupt(1)]
    assert talk.wait(1.19) == []
    assert talk.wait(0.02) == [Resume(1, 2)]
    talk.then(CallerStopped(0, talk.now), 0.1)
    talk.then(TextSettled(0, ""), 0.2)
    assert talk.then(ReplyPlayed(2), 2.0) == [Announce(2, 3)]
    talk.then(CallerBegan(1), 1.0)
    assert talk.then(TextChanged(1, "רגע"), 0.2) == [Interrupt(3), Cancel(3)]


def test_a_mm_hm_does_not_interrupt_an_announcement() -> None:
    talk = Talk(answers=False)
    talk.announced()
    talk.then(CallerBegan(0), 1.0)
    talk.then(TextChanged(0, "כן"), 0.3)
    talk.then(CallerStopped(0, talk.now), 0.2)
    assert talk.then(TextSettled(0, "כן"), 0.2) == []
    assert talk.turns.state is State.SPEAKING


def test_words_that_interrupt_an_announcement_are_answered_by_the_agent() -> None:
    talk = Talk()
    talk.announced()
    talk.then(CallerBegan(0), 1.0)
    assert talk.then(TextChanged(0, "אני רוצה"), 0.4) == [Interrupt(1), Cancel(1)]
    talk.then(CallerStopped(0, talk.now), 0.4)
    assert talk.then(TextSettled(0, "אני רוצה"), 0.1) == [Ask(2, "אני רוצה", speculative=False), Release(2)]


def test_an_urgent_one_silences_what_is_said_and_drops_what_waits() -> None:
    talk = Talk()
    talk.answers()
    talk.announced(1)
    done = talk.then(AnnouncementAsked(2, urgent=True), 0.5)
    assert done == [Discard(1, Unsaid.CLEARED), Interrupt(1), Cancel(1), Prepare(2)]
    assert talk.then(AnnouncementReady(2), 0.2) == [Announce(2, 2)]


def test_an_urgent_one_takes_the_place_of_the_answer_that_is_prepared_when_it_sounds() -> None:
    talk = Talk()
    talk.thinks()
    assert talk.then(AnnouncementAsked(1, urgent=True)) == [Prepare(1)]
    assert talk.then(AnnouncementReady(1), 0.2) == [Cancel(1), Announce(1, 2, QUESTION)]
    assert talk.wait(5.0) == [], "neither a filler nor an apology"


def test_an_urgent_one_without_sound_leaves_the_answer_in_its_place() -> None:
    talk = Talk()
    talk.thinks()
    talk.then(AnnouncementAsked(1, urgent=True))
    assert talk.then(AnnouncementLost(1), 0.2) == []
    talk.then(ReplySounded(1), 0.2)
    assert talk.turns.state is State.SPEAKING


def test_an_urgent_one_silences_an_answer_that_began_before_its_own_sound() -> None:
    talk = Talk()
    talk.thinks()
    talk.then(AnnouncementAsked(1, urgent=True))
    talk.then(ReplySounded(1), 0.1)
    assert talk.then(AnnouncementReady(1), 0.2) == [Interrupt(1), Cancel(1), Announce(1, 2)]


def test_an_urgent_one_lets_the_caller_finish_and_is_the_answer() -> None:
    talk = Talk()
    talk.speaks()
    assert talk.announced(urgent=True) == [Prepare(1)]
    assert talk.then(CallerStopped(0, talk.now), 0.5) == [Announce(1, 1, QUESTION)]
    assert talk.then(TextSettled(0, QUESTION), 0.2) == []


def test_an_urgent_one_that_is_ready_throws_the_guess_away_and_lets_nobody_guess_again() -> None:
    talk = Talk()
    talk.speaks()
    assert talk.then(TextReached(0, QUESTION)) == [Ask(1, QUESTION, speculative=True)]
    talk.announced(urgent=True)
    assert talk.then(TextReached(0, f"{QUESTION} בבקשה"), 0.1) == []
    assert talk.then(CallerStopped(0, talk.now), 0.3) == [Cancel(1), Announce(1, 2, f"{QUESTION} בבקשה")]


def test_no_guess_is_made_at_the_end_of_a_pause_when_an_urgent_one_will_be_the_answer() -> None:
    talk = Talk()
    talk.speaks()
    talk.then(CallerPaused(0, talk.now), 0.1)
    assert talk.then(TextReached(0, QUESTION)) == []
    talk.announced(urgent=True)
    assert talk.wait(0.3) == []
    assert talk.then(CallerStopped(0, talk.now), 0.1) == [Announce(1, 1, QUESTION)]


def test_an_urgent_one_is_the_answer_to_words_that_stand_in_noise() -> None:
    talk = Talk()
    talk.speaks()
    talk.announced(urgent=True)
    assert talk.wait(1.3)[-2:] == [Cancel(1), Announce(1, 2, QUESTION)]
    assert talk.turns.state is State.YIELDING, "the noise goes on"


@both
def test_clear_ends_what_is_said_and_what_waits_and_the_call_goes_on(answers: bool) -> None:
    talk = Talk(answers=answers)
    talk.announced(1)
    talk.announced(2)
    assert talk.then(ClearAsked(), 0.5) == [Discard(2, Unsaid.CLEARED), Interrupt(1), Cancel(1)]
    assert talk.turns.state is State.LISTENING
    assert (talk.wait(10.1) == [SayPhrase(StockPhrase.IDLE, 2)]) is answers
    assert talk.then(ReplyPlayed(2)) == []
    assert talk.announced(3)[0] == Prepare(3)


def test_clear_ends_a_reply_that_noise_has_interrupted() -> None:
    talk = Talk(answers=False)
    talk.announced()
    talk.then(CallerBegan(0), 1.0)
    assert talk.then(CallerLasted(0), 0.4) == [Interrupt(1)]
    assert talk.then(ClearAsked()) == [Cancel(1)]
    assert talk.wait(5.0) == []


def test_clear_leaves_the_answer_that_is_prepared() -> None:
    talk = Talk()
    talk.thinks()
    assert talk.then(ClearAsked()) == []
    assert talk.turns.state is State.THINKING


def test_what_the_caller_said_into_cleared_speech_is_answered() -> None:
    talk = Talk()
    talk.announced()
    talk.then(CallerBegan(0), 1.0)
    talk.then(TextChanged(0, "פיצה"), 0.2)
    assert talk.then(ClearAsked()) == [Interrupt(1), Cancel(1)]
    talk.then(CallerStopped(0, talk.now), 0.3)
    assert talk.then(TextSettled(0, "פיצה"), 0.2) == [Ask(2, "פיצה", speculative=False), Release(2)]


def test_a_silent_caller_is_not_asked_while_an_announcement_waits_for_its_sound() -> None:
    talk = Talk()
    talk.then(AnnouncementAsked(1), 9.5)
    assert talk.wait(1.0) == []
    assert talk.then(AnnouncementLost(1)) == []
    assert talk.wait(10.0) == [SayPhrase(StockPhrase.IDLE, 1)]


def test_no_announcement_follows_the_goodbye() -> None:
    talk = Talk()
    talk.wait(10.0)
    talk.then(ReplyPlayed(1), 1.0)
    assert talk.wait(10.0) == [SayPhrase(StockPhrase.GOODBYE, 2)]
    assert talk.turns.closing
    assert talk.announced() == [Prepare(1)]
    assert talk.then(ReplyPlayed(2), 1.0) == [Discard(1, Unsaid.CLOSING), HangUp()]


def test_a_call_that_closes_drops_what_waits_and_finishes_what_is_said() -> None:
    talk = Talk()
    talk.announced(1)
    talk.announced(2)
    assert talk.then(CallClosing()) == [Discard(2, Unsaid.CLOSING)]
    assert talk.turns.closing
    assert talk.then(AnnouncementAsked(3)) == [Discard(3, Unsaid.CLOSING)]
    assert talk.then(ReplyPlayed(1), 1.0) == []


def test_a_defect_drops_what_waits() -> None:
    talk = Talk()
    talk.announced(1)
    talk.announced(2)
    assert talk.then(ServiceFailed()) == [Discard(2, Unsaid.DEFECT), SayPhrase(StockPhrase.APOLOGY, 2)]


def test_the_greeting_comes_before_an_announcement_of_the_first_moment() -> None:
    turns = Turns()
    assert turns.handle(AnnouncementAsked(1), 0.0) == [Prepare(1)]
    assert turns.handle(CallOpened(greet=True), 0.0) == [SayPhrase(StockPhrase.GREETING, 1)]
    assert turns.handle(AnnouncementReady(1), 0.1) == []
    assert turns.handle(ReplyPlayed(1), 2.0) == [Announce(1, 2)]
