"""The turn table at the end of a call, and for keys: row by row."""

from __future__ import annotations

import msgspec
import pytest

from batkol.conversation.actions import (
    Action,
    Announce,
    Ask,
    Cancel,
    Discard,
    GiveUp,
    HangUp,
    Interrupt,
    Prepare,
    Release,
    SayPhrase,
    StockPhrase,
    Transfer,
    Unsaid,
)
from batkol.conversation.inputs import (
    AnnouncementAsked,
    AnnouncementReady,
    AttemptLost,
    CallClosing,
    CallerBegan,
    CallerLasted,
    CallerStopped,
    CallOpened,
    DigitPressed,
    EndAsked,
    Input,
    ReplyPlayed,
    ReplyRanDry,
    ReplySounded,
    ReplyWentOn,
    ServiceFailed,
    TextChanged,
    TextReached,
    TextSettled,
    TransferFailed,
)
from batkol.conversation.turn import State
from batkol.conversation.turns import Turns
from batkol.speech.lexicon import lexicon
from batkol.speech.turn_thresholds import TurnThresholds
from support.agent.timed_turns import TimedTurns

QUESTION = "מה השעה עכשיו"
NO_GOODBYE = EndAsked(goodbye=False)
SALES = EndAsked(transfer="sales")
KEYS_WAIT = TurnThresholds(keys_interrupt=False)


class Talk(TimedTurns):
    """A conversation at given times."""

    def __init__(self, thresholds: TurnThresholds | None = None, *, answers: bool = True, language: str = "he") -> None:
        self.thresholds = thresholds or TurnThresholds()
        super().__init__(Turns(self.thresholds, answers=answers, language=language))

    def at_once(self, *events: Input) -> list[Action]:
        """Let the events happen without time in between."""
        return [action for event in events for action in self.then(event)]

    def think(self) -> None:
        """A committed turn of which nothing is heard."""
        self.at_once(CallerBegan(0), TextChanged(0, QUESTION), TextReached(0, QUESTION), CallerStopped(0, self.now))
        assert self.is_in(State.THINKING)

    def speak(self) -> None:
        """A turn whose reply is heard."""
        self.think()
        self.at_once(TextSettled(0, QUESTION), ReplySounded(1))
        assert self.is_in(State.SPEAKING)

    def hear_goodbye(self) -> None:
        """Nobody says anything, until the agent says goodbye."""
        self.turns.tune(msgspec.structs.replace(self.thresholds, idle_prompts=0), lexicon())
        self.at_once(CallOpened(greet=False))
        assert self.wait(10.0) == [SayPhrase(StockPhrase.GOODBYE, 1)]

    def press(self, keys: str) -> list[Action]:
        return self.at_once(*map(DigitPressed, keys))

    def is_in(self, state: State) -> bool:
        return self.turns.state is state


# -- the end ---------------------------------------------------------------------------------------------------------


def test_in_silence_the_goodbye_is_said_and_the_call_hung_up() -> None:
    talk = Talk()

    assert talk.at_once(EndAsked()) == [SayPhrase(StockPhrase.GOODBYE, 1)]
    assert talk.is_in(State.ENDING)
    assert talk.turns.hangs_up
    assert talk.at_once(ReplySounded(1), ReplyPlayed(1)) == [HangUp()]
    assert talk.is_in(State.CLOSING)


def test_what_is_said_is_finished_before_the_goodbye() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(EndAsked()) == []
    assert talk.wait(3.0) == []
    assert talk.at_once(ReplyPlayed(1)) == [SayPhrase(StockPhrase.GOODBYE, 2)]
    assert talk.at_once(ReplyPlayed(2)) == [HangUp()]


def test_without_a_goodbye_the_call_is_hung_up_behind_what_is_said() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(NO_GOODBYE) == []
    assert talk.at_once(ReplyPlayed(1)) == [HangUp()]


def test_the_answer_that_asked_for_the_end_is_heard_although_nothing_of_it_was_so_far() -> None:
    talk = Talk()
    talk.think()

    assert talk.at_once(NO_GOODBYE, ReplySounded(1)) == []
    assert talk.at_once(ReplyPlayed(1)) == [HangUp()]


@pytest.mark.parametrize("silent", [AttemptLost(1), None], ids=["fails", "gives nothing in time"])
def test_an_answer_of_which_nothing_comes_is_not_waited_for_any_longer(silent: Input | None) -> None:
    talk = Talk()
    talk.think()
    talk.at_once(NO_GOODBYE)

    done = talk.at_once(silent) if silent else talk.wait(3.5)

    assert done == [*([] if silent else [SayPhrase(StockPhrase.FILLER), GiveUp(1)]), HangUp()]


def test_a_caller_who_has_waited_before_the_end_was_asked_for_waits_no_longer_for_that() -> None:
    talk = Talk()
    talk.think()
    assert talk.wait(2.0) == [SayPhrase(StockPhrase.FILLER)]
    talk.at_once(NO_GOODBYE)

    assert talk.wait(1.35) == [GiveUp(1), HangUp()]


def test_what_is_said_last_is_given_up_when_it_hangs() -> None:
    talk = Talk()
    talk.speak()
    talk.at_once(EndAsked(), ReplyRanDry(1))

    assert talk.wait(3.35) == [SayPhrase(StockPhrase.FILLER), GiveUp(1), SayPhrase(StockPhrase.GOODBYE, 2)]


def test_an_answer_that_comes_in_time_is_heard_to_its_end_and_answers_its_question_once() -> None:
    talk = Talk()
    talk.think()
    talk.at_once(EndAsked(), ReplySounded(1))

    assert talk.wait(10.0) == []
    assert talk.at_once(ReplyPlayed(1)) == [SayPhrase(StockPhrase.GOODBYE, 2)]


def test_words_that_the_goodbye_answers_are_no_question_any_more() -> None:
    talk = Talk()
    talk.at_once(CallerBegan(0), TextChanged(0, "רגע"))

    assert talk.at_once(EndAsked()) == [SayPhrase(StockPhrase.GOODBYE, 1, "רגע")]
    talk.at_once(CallerStopped(0, talk.now), TextSettled(0, "רגע"))
    assert talk.turns.unanswered == ""


def test_keys_that_are_gathered_when_the_end_is_asked_for_are_no_turn_any_more() -> None:
    talk = Talk()
    talk.press("12")
    talk.at_once(EndAsked())

    assert not any(isinstance(each, Ask) for each in talk.wait(5.0))


def test_a_key_ends_the_wait_for_an_answer() -> None:
    talk = Talk()
    talk.think()
    talk.wait(1.2)

    assert talk.press("1") == [Cancel(1)]
    assert talk.wait(1.9) == [], "no filler while keys are gathered"


def test_a_reply_that_noise_interrupted_is_over_when_the_end_is_asked_for() -> None:
    talk = Talk()
    talk.speak()
    talk.at_once(CallerBegan(1), CallerLasted(1))

    assert talk.at_once(EndAsked()) == [Cancel(1), SayPhrase(StockPhrase.GOODBYE, 2)]
    assert talk.wait(5.0) == [], "it does not go on"


def test_an_announcement_waits_for_the_last_key_of_an_entry() -> None:
    talk = Talk()
    talk.at_once(AnnouncementAsked(1), CallerBegan(0))
    talk.at_once(AnnouncementReady(1))
    for _ in range(4):
        assert not any(isinstance(each, Announce) for each in [*talk.press("1"), *talk.wait(1.5)])


def test_what_is_said_last_may_pause() -> None:
    talk = Talk()
    talk.speak()
    talk.at_once(NO_GOODBYE, ReplyRanDry(1))
    assert talk.wait(1.35) == [SayPhrase(StockPhrase.FILLER)]
    talk.at_once(ReplyWentOn(1))

    assert talk.wait(10) == []
    assert talk.at_once(ReplyPlayed(1)) == [HangUp()]


def test_a_guess_is_thrown_away() -> None:
    talk = Talk()
    talk.at_once(CallerBegan(0), TextChanged(0, QUESTION), TextReached(0, QUESTION))

    assert talk.at_once(EndAsked()) == [Cancel(1), SayPhrase(StockPhrase.GOODBYE, 2, QUESTION)]


def test_no_caller_interrupts_the_end() -> None:
    talk = Talk()
    talk.speak()
    talk.at_once(EndAsked())

    lasting = (CallerBegan(1), TextChanged(1, "רגע לא"), CallerLasted(1), DigitPressed("1"))
    assert talk.at_once(*lasting, TextSettled(1, "רגע לא רוצה")) == []
    assert talk.at_once(ReplyPlayed(1)) == [SayPhrase(StockPhrase.GOODBYE, 2, "רגע לא רוצה")]
    assert talk.at_once(*lasting) == []
    assert talk.at_once(ReplyPlayed(2)) == [HangUp()]


def test_a_reply_that_does_not_end_is_ended() -> None:
    talk = Talk()
    talk.speak()
    talk.at_once(EndAsked())

    assert talk.wait(30.0) == [Interrupt(1), Cancel(1), SayPhrase(StockPhrase.GOODBYE, 2)]
    assert talk.wait(30.0) == [Interrupt(2), Cancel(2), HangUp()]


def test_the_first_decision_stands() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(EndAsked(reason="longest_call"), EndAsked(transfer="sales"), NO_GOODBYE) == []
    assert talk.at_once(ReplyPlayed(1)) == [SayPhrase(StockPhrase.LIMIT, 2)]
    assert talk.at_once(ReplyPlayed(2)) == [HangUp("longest_call")]


def test_announcements_that_wait_are_dropped_and_later_ones_refused() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(AnnouncementAsked(1)) == [Prepare(1)]
    assert talk.at_once(EndAsked(), AnnouncementAsked(2, urgent=True)) == [
        Discard(1, Unsaid.CLOSING), Discard(2, Unsaid.CLOSING),
    ]  # fmt: skip


def test_a_goodbye_that_is_being_said_is_not_said_twice() -> None:
    talk = Talk(TurnThresholds(idle_prompts=0))
    talk.at_once(CallOpened(greet=False))
    assert talk.wait(10.0) == [SayPhrase(StockPhrase.GOODBYE, 1)]

    assert talk.at_once(EndAsked()) == []
    assert talk.at_once(ReplyPlayed(1)) == [HangUp()]


def test_a_pod_that_leaves_begins_no_goodbye() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(EndAsked(), CallClosing()) == []
    assert talk.at_once(ReplyPlayed(1)) == [HangUp()]


def test_a_defect_ends_the_call_without_a_further_word() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(EndAsked(), ServiceFailed()) == [HangUp()]


def test_without_an_answerer_the_goodbye_is_asked_for_all_the_same() -> None:
    talk = Talk(answers=False)

    assert talk.at_once(EndAsked()) == [SayPhrase(StockPhrase.GOODBYE, 1)]


# -- the transfer ----------------------------------------------------------------------------------------------------


def test_a_transfer_follows_what_is_said_and_no_goodbye() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(SALES) == []
    assert talk.at_once(ReplyPlayed(1)) == [Transfer("sales")]
    assert not talk.turns.hangs_up
    assert talk.turns.closing


def test_a_transfer_that_is_refused_is_apologized_for_and_the_conversation_goes_on() -> None:
    talk = Talk()
    assert talk.at_once(SALES) == [Transfer("sales")]

    assert talk.wait(2.0) == [SayPhrase(StockPhrase.FILLER)]
    assert talk.at_once(TransferFailed()) == [SayPhrase(StockPhrase.APOLOGY, 1)]
    talk.at_once(ReplyPlayed(1))
    assert talk.at_once(CallerBegan(0), TextChanged(0, QUESTION), TextReached(0, QUESTION)) == [
        Ask(2, QUESTION, speculative=True)
    ]
    assert talk.at_once(EndAsked()) == [Cancel(2), SayPhrase(StockPhrase.GOODBYE, 3, QUESTION)], "it may end again"


def test_after_a_refused_transfer_the_agent_may_still_hang_up_by_itself() -> None:
    talk = Talk(TurnThresholds(idle_prompts=0))
    talk.at_once(SALES, TransferFailed(), ReplyPlayed(1))

    assert talk.wait(10.0) == [SayPhrase(StockPhrase.GOODBYE, 2)]
    assert talk.turns.hangs_up


def test_a_transfer_that_nobody_answers_for_is_given_up() -> None:
    talk = Talk()
    talk.at_once(SALES)

    assert talk.wait(20.0) == [*[SayPhrase(StockPhrase.FILLER)] * 6, SayPhrase(StockPhrase.APOLOGY, 1)]


def test_a_refusal_that_comes_late_changes_nothing() -> None:
    talk = Talk()
    talk.speak()

    assert talk.at_once(TransferFailed(), EndAsked(), TransferFailed()) == []
    assert talk.is_in(State.ENDING)


# -- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "language", "text"),
    [("123#", "he-IL", "הקיש/ה 1 2 3"), ("5*#", "iw", "הקיש/ה 5 כוכבית"), ("0*9#", "en-US", "pressed 0 star 9")],
)
def test_an_entry_is_a_turn_in_the_language_of_the_call(keys: str, language: str, text: str) -> None:
    talk = Talk(language=language)

    assert talk.press(keys[:-1]) == []
    assert talk.press(keys[-1]) == [Ask(1, text, speculative=False), Release(1)]
    assert talk.is_in(State.THINKING)


def test_a_pause_ends_an_entry() -> None:
    talk = Talk(TurnThresholds(keys_pause_ms=500))
    talk.press("1")
    talk.wait(0.4)
    talk.press("2")

    assert talk.wait(0.4) == []
    assert talk.wait(0.1) == [Ask(1, "הקיש/ה 1 2", speculative=False), Release(1)]


def test_a_hash_alone_is_no_entry_and_64_keys_are_a_whole_one() -> None:
    talk = Talk()

    assert talk.press("#") == []
    assert talk.press("7" * 63) == []
    assert len(talk.press("7")) == 2


def test_words_and_keys_for_one_question_are_one_turn() -> None:
    talk = Talk()
    talk.think()

    assert talk.press("12") == [Cancel(1)]
    assert talk.at_once(TextSettled(0, QUESTION)) == []
    assert talk.press("#") == [Ask(2, f"{QUESTION} הקיש/ה 1 2", speculative=False), Release(2)]
    talk.at_once(ReplySounded(2))
    assert talk.at_once(TextSettled(0, QUESTION)) == [], "the final that came late is no turn of its own"


def test_an_entry_while_the_caller_speaks_waits_for_the_words() -> None:
    talk = Talk()
    talk.at_once(CallerBegan(0), TextChanged(0, "המספר"))

    assert talk.press("12#") == []
    assert talk.at_once(CallerStopped(0, talk.now)) == []
    assert talk.at_once(TextSettled(0, "המספר שלי")) == [
        Ask(1, "המספר שלי הקיש/ה 1 2", speculative=False), Release(1),
    ]  # fmt: skip


@pytest.mark.parametrize("reached", [(TextReached(0, QUESTION),), ()], ids=["tentative", "final alone"])
def test_words_that_end_while_keys_are_pressed_wait_for_the_last_key(reached: tuple[Input, ...]) -> None:
    talk = Talk()
    talk.at_once(CallerBegan(0))
    talk.press("1")

    heard = (TextChanged(0, QUESTION), *reached, CallerStopped(0, talk.now), TextSettled(0, QUESTION))
    assert talk.at_once(*heard) == []
    assert talk.wait(1.9) == []
    assert talk.press("#") == [Ask(1, f"{QUESTION} הקיש/ה 1", speculative=False), Release(1)]


def test_an_entry_ends_whatever_is_said_meanwhile() -> None:
    talk = Talk(TurnThresholds(give_way_ms=0))
    talk.press("1")
    assert talk.at_once(AnnouncementAsked(1), AnnouncementReady(1))[1:] == [Announce(1, 1, "הקיש/ה 1")]
    talk.press("2")
    talk.at_once(ReplyPlayed(1))

    assert talk.wait(2.0) == [Ask(2, "2", speculative=False), Release(2)]


def test_the_sound_of_a_key_that_is_taken_for_speech_costs_nothing() -> None:
    talk = Talk()
    talk.press("1")

    assert talk.at_once(CallerBegan(0), CallerStopped(0, talk.now), TextSettled(0, "")) == []
    assert talk.press("2#") == [Ask(1, "הקיש/ה 1 2", speculative=False), Release(1)]


def test_a_key_ends_what_is_said_and_what_waits_behind_it() -> None:
    talk = Talk()
    talk.speak()
    talk.at_once(AnnouncementAsked(1))

    assert talk.press("1") == [Interrupt(1), Cancel(1), Discard(1, Unsaid.INTERRUPTED)]
    assert talk.press("#") == [Ask(2, "הקיש/ה 1", speculative=False), Release(2)]


def test_keys_that_may_not_interrupt_are_answered_after_what_is_said() -> None:
    talk = Talk(KEYS_WAIT)
    talk.speak()

    assert talk.press("1#") == []
    assert talk.at_once(ReplyPlayed(1)) == [Ask(2, "הקיש/ה 1", speculative=False), Release(2)]


def test_an_entry_that_goes_on_when_what_is_said_ends_is_waited_for() -> None:
    talk = Talk(KEYS_WAIT)
    talk.speak()
    talk.press("1")

    assert talk.at_once(ReplyPlayed(1)) == []
    assert talk.press("2#") == [Ask(2, "הקיש/ה 1 2", speculative=False), Release(2)]


def test_a_greeting_that_is_not_to_be_interrupted_is_not_by_a_key_either() -> None:
    turns = Turns(greeting_yields=False, language="he")
    turns.handle(CallOpened(greet=True), 100.0)

    assert turns.handle(DigitPressed("1"), 100.1) == []
    assert turns.handle(DigitPressed("#"), 100.2) == []
    assert turns.handle(ReplyPlayed(1), 101.0) == [Ask(2, "הקיש/ה 1", speculative=False), Release(2)]


def test_a_key_is_an_answer_to_the_question_whether_anybody_is_there() -> None:
    talk = Talk()
    talk.at_once(CallOpened(greet=False))
    assert talk.wait(10.0) == [SayPhrase(StockPhrase.IDLE, 1)]
    talk.at_once(ReplyPlayed(1))

    talk.press("1")
    assert talk.wait(2.0) == [Ask(2, "הקיש/ה 1", speculative=False), Release(2)]


def test_keys_pressed_into_the_goodbye_to_a_silent_caller_are_answered_and_the_call_goes_on() -> None:
    talk = Talk(KEYS_WAIT)
    talk.hear_goodbye()

    assert talk.press("1#") == []
    assert talk.at_once(ReplyPlayed(1)) == [Ask(2, "הקיש/ה 1", speculative=False), Release(2)]
    assert not talk.turns.hangs_up


def test_an_entry_that_goes_on_when_the_goodbye_ends_is_waited_for() -> None:
    talk = Talk(KEYS_WAIT)
    talk.hear_goodbye()
    talk.press("1")

    assert talk.at_once(ReplyPlayed(1)) == []
    assert talk.press("2") == []
    assert talk.wait(2.0) == [Ask(2, "הקיש/ה 1 2", speculative=False), Release(2)]


def test_words_that_begin_when_the_goodbye_ends_are_answered_and_the_call_goes_on() -> None:
    talk = Talk()
    talk.hear_goodbye()
    talk.at_once(CallerBegan(0), TextChanged(0, "אני"))

    assert talk.at_once(ReplyPlayed(1)) == []
    words = (TextChanged(0, "אני רוצה פיצה"), CallerStopped(0, talk.now), TextSettled(0, "אני רוצה פיצה"))
    assert talk.at_once(*words) == [Ask(2, "אני רוצה פיצה", speculative=False), Release(2)]


@pytest.mark.parametrize("word", ["כן", "שלום"], ids=["backchannel word", "echo"])
def test_no_other_word_in_the_goodbye_keeps_the_call_up(word: str) -> None:
    talk = Talk()
    talk.hear_goodbye()
    for event in (CallerBegan(0), TextChanged(0, word), CallerStopped(0, talk.now), TextSettled(0, word)):
        assert talk.then(event, 0.1, sounding="שלום ותודה") == []

    assert talk.at_once(ReplyPlayed(1)) == [HangUp()]


def test_an_entry_without_a_new_key_keeps_no_call_up_and_nothing_of_it_is_due_when_the_call_is_over() -> None:
    talk = Talk(TurnThresholds(keys_pause_ms=60_000, give_way_ms=0, idle_prompts=0))
    talk.press("1")
    talk.at_once(AnnouncementAsked(1), AnnouncementReady(1), ReplyPlayed(1))
    assert talk.wait(10.0) == [SayPhrase(StockPhrase.GOODBYE, 2)]

    assert talk.at_once(ReplyPlayed(2)) == [HangUp()]
    assert talk.turns.deadline is None


@pytest.mark.parametrize("breaks", [ReplyPlayed(1, owes_text=True), ReplyRanDry(1)], ids=["tools", "a pause"])
def test_an_apology_for_the_rest_of_a_reply_answers_no_keys_that_were_pressed_into_it(breaks: Input) -> None:
    talk = Talk(KEYS_WAIT)
    talk.speak()
    talk.press("1#")
    assert [*talk.at_once(breaks), *talk.wait(4.0)][-1] == SayPhrase(StockPhrase.APOLOGY, 2)

    assert talk.at_once(ReplyPlayed(2)) == [Ask(3, "הקיש/ה 1", speculative=False), Release(3)]
