"""The turn table puts off the filler, the apology, and what is due late: an answer that is ready is not thrown away."""

from __future__ import annotations

import pytest

from batkol.conversation.actions import (
    Action,
    Ask,
    AwaitLine,
    Cancel,
    GiveUp,
    HangUp,
    Hold,
    Interrupt,
    Release,
    SayPhrase,
    StockPhrase,
)
from batkol.conversation.inputs import (
    AttemptLost,
    CallerBegan,
    CallerStopped,
    CallOpened,
    EndAsked,
    Input,
    ReplyPlayed,
    ReplyRanDry,
    ReplySounded,
    SoundQueued,
    TextChanged,
    TextReached,
    TextSettled,
    ToolsBegan,
    ToolsEnded,
)
from batkol.conversation.state import State
from batkol.conversation.timers import LATE_S
from batkol.conversation.turns import READING_S, Turns
from batkol.speech.turn_thresholds import TurnThresholds
from support.agent.timed_turns import TimedTurns

TEXT = "מה השעה עכשיו"
FILLER = SayPhrase(StockPhrase.FILLER)


def apology(attempt: int) -> SayPhrase:
    return SayPhrase(StockPhrase.APOLOGY, attempt, TEXT)


class Talk(TimedTurns):
    """A conversation at given times, which may stand still."""

    def __init__(self) -> None:
        super().__init__(Turns())

    def ask(self, *, ago_s: float = 0.0, silence_s: float = 0.5) -> None:
        """A committed turn with the attempt 1: its last sample was so long ago, and so much silence tells its end."""
        self.then(CallerBegan(0))
        self.then(TextChanged(0, TEXT), 0.5)
        assert self.then(TextReached(0, TEXT), 0.1) == [Ask(1, TEXT, speculative=True)]
        assert Release(1) in self.then(CallerStopped(0, self.now - ago_s, self.now - ago_s + silence_s))

    def stand_still(self, seconds: float, event: Input | None = None) -> list[Action]:
        """Nothing runs for so long; then an event is handled, if there is one, or what is due."""
        self.now += seconds
        if event is None:
            return self.turns.tick(self.now)
        done = self.turns.handle(event, self.now)
        return done + (self.turns.tick(self.now) if self.turns.is_due(self.now) else [])


# Sound in the line


def test_sound_that_waits_in_the_line_has_no_filler_behind_it_and_no_apology_in_its_place() -> None:
    talk = Talk()
    talk.ask()
    assert talk.then(SoundQueued(1), 0.5) == []
    assert talk.wait(9.5) == [AwaitLine(1), AwaitLine(1)]  # 3.3 s and 6.8 s after the last sample
    assert talk.then(ReplySounded(1)) == []
    assert talk.turns.state is State.SPEAKING
    assert talk.wait(60) == []


def test_an_answer_is_in_time_in_the_very_moment_in_which_the_apology_is_due() -> None:
    talk = Talk()
    talk.ask()
    talk.wait(3.29)
    talk.now += 0.02  # what is due is found due behind the input, as in the conversation
    assert talk.turns.handle(SoundQueued(1), talk.now) == []
    assert talk.turns.tick(talk.now) == [AwaitLine(1)]


def test_another_attempts_sound_puts_nothing_off() -> None:
    talk = Talk()
    talk.ask()
    assert talk.then(SoundQueued(7), 0.5) == []
    assert talk.wait(2.0) == [FILLER]
    assert talk.wait(1.0) == [GiveUp(1), apology(2)]


def test_sound_that_speech_has_taken_back_waits_in_the_line_no_more() -> None:
    talk = Talk()
    talk.ask()
    talk.then(SoundQueued(1), 0.2)
    assert talk.then(CallerBegan(1), 0.1) == [Hold(1)]
    talk.then(CallerStopped(1, talk.now), 0.1)
    assert talk.then(TextSettled(1, "")) == [Release(1)]
    assert talk.wait(4.0) == [FILLER, GiveUp(1), apology(2)]


def test_an_attempt_in_the_place_of_one_that_waited_in_the_line_has_its_filler() -> None:
    talk = Talk()
    talk.ask()
    talk.then(SoundQueued(1), 0.5)
    assert talk.then(TextSettled(0, "מה השעה מחר"), 2.0) == [
        *(Cancel(1), Ask(2, "מה השעה מחר", speculative=False), Release(2))
    ]
    assert talk.wait(0.4) == [FILLER]


def test_a_filler_of_a_tool_is_not_said_behind_sound_that_waits_in_the_line() -> None:
    talk = Talk()
    talk.ask()
    talk.then(ToolsBegan(1, 20.0), 0.1)
    assert talk.then(SoundQueued(1), 0.1) == []
    assert [action for action in talk.wait(12) if not isinstance(action, AwaitLine)] == []


def test_a_reply_that_runs_dry_after_it_waited_in_the_line_has_its_filler() -> None:
    talk = Talk()
    talk.ask()
    talk.then(SoundQueued(1), 0.5)
    talk.then(ReplySounded(1), 0.5)
    talk.then(ReplyRanDry(1), 2.0)
    assert talk.wait(3.35) == [FILLER, GiveUp(1), SayPhrase(StockPhrase.APOLOGY, 2)]


# Media that comes late, and parts that are late


@pytest.mark.parametrize("ago_s", [1.5, 3.0, 3.4, 30.0])
def test_media_that_comes_late_has_its_filler_at_once_and_the_apology_two_seconds_later(ago_s: float) -> None:
    talk = Talk()
    talk.ask(ago_s=ago_s)
    assert talk.wait(0.0) == [FILLER]
    assert talk.wait(1.95) == []
    assert talk.wait(0.1) == [GiveUp(1), apology(2)]


def test_media_that_comes_late_puts_the_apology_off_by_no_more_than_that() -> None:
    talk = Talk()
    talk.ask(ago_s=2.5, silence_s=2.0)
    assert talk.wait(0.0) == [FILLER]
    assert talk.wait(1.25) == []
    assert talk.wait(0.1) == [GiveUp(1), apology(2)]


def test_an_end_of_speech_that_takes_long_to_tell_is_not_late() -> None:
    talk = Talk()
    talk.ask(ago_s=2.0, silence_s=1.9)
    assert talk.wait(0.0) == [FILLER]
    assert talk.wait(1.25) == []
    assert talk.wait(0.1) == [GiveUp(1), apology(2)]


def test_an_answer_to_words_that_interrupt_has_its_time_where_the_media_came_late() -> None:
    talk = Talk()
    talk.ask()
    talk.then(ReplySounded(1), 0.5)
    talk.then(CallerBegan(1), 1.0)
    talk.then(CallerStopped(1, talk.now + 0.5, talk.now + 1.0), 4.5)
    assert talk.then(TextSettled(1, TEXT)) == [*(Interrupt(1), Cancel(1), Ask(2, TEXT, speculative=False), Release(2))]
    assert talk.wait(1.95) == [FILLER]
    assert talk.wait(0.1) == [GiveUp(2), apology(3)]


def test_media_that_comes_late_behind_the_commit_has_its_filler_at_once_and_the_apology_two_seconds_later() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    assert Release(1) in talk.then(TextSettled(0, TEXT), 1.0)
    assert talk.then(CallerStopped(0, talk.now - 2.0, talk.now - 1.5), 1.0) == []
    assert talk.wait(1.95) == [FILLER]
    assert talk.wait(0.1) == [GiveUp(1), apology(2)]


def test_an_answerer_that_is_asked_late_has_no_more_time_than_the_apology_gives() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.5)
    assert talk.wait(2.0) == [FILLER]
    assert talk.then(TextSettled(0, TEXT)) == [Ask(1, TEXT, speculative=False), Release(1)]
    assert talk.wait(0.75) == []
    assert talk.wait(0.1) == [GiveUp(1), apology(2)]


def test_an_attempt_in_the_place_of_one_that_failed_late_has_no_more_time_than_that() -> None:
    talk = Talk()
    talk.ask()
    assert talk.then(AttemptLost(1), 3.2) == [FILLER, Ask(2, TEXT, speculative=False), Release(2)]
    assert talk.wait(0.2) == [GiveUp(2), apology(3)]


# The end of the call


def test_sound_that_waits_in_the_line_is_heard_before_the_goodbye() -> None:
    talk = Talk()
    talk.ask()
    talk.then(EndAsked(), 0.2)
    assert talk.then(SoundQueued(1), 0.2) == []
    assert talk.wait(9.0) == [AwaitLine(1), AwaitLine(1)]
    assert talk.then(ReplySounded(1)) == []
    assert talk.then(ReplyPlayed(1), 2.0) == [SayPhrase(StockPhrase.GOODBYE, 2)]


def test_a_line_that_stands_still_keeps_up_no_call() -> None:
    talk = Talk()
    talk.ask()
    talk.then(EndAsked(goodbye=False), 0.2)
    talk.then(SoundQueued(1), 0.2)
    done = talk.wait(31.0)
    assert done[-2:] == [GiveUp(1), HangUp()]


# The process stands still


def test_what_is_due_while_the_process_stands_still_waits_for_what_came_meanwhile() -> None:
    talk = Talk()
    talk.ask()
    assert talk.wait(1.0) == []
    assert talk.stand_still(4.0) == []
    assert talk.then(SoundQueued(1), READING_S - 0.05) == []
    assert FILLER not in talk.wait(1.0)
    assert talk.turns.attempt == 1


@pytest.mark.parametrize("event", [TextChanged(0, TEXT), ToolsEnded(1)])
def test_it_waits_too_where_something_else_is_handled_first(event: Input) -> None:
    talk = Talk()
    talk.ask()
    talk.wait(2.0)
    assert talk.stand_still(4.0, event) == []
    assert talk.then(SoundQueued(1), 0.1) == []
    assert talk.turns.attempt == 1


def test_an_answer_that_has_not_come_after_the_process_stood_still_has_no_more_time_than_the_reading() -> None:
    talk = Talk()
    talk.ask()
    assert talk.wait(2.0) == [FILLER]
    assert talk.stand_still(4.0) == []
    assert talk.wait(READING_S - 0.05) == []
    assert talk.wait(0.1) == [GiveUp(1), apology(2)]


def test_a_process_that_is_late_each_time_acts_all_the_same() -> None:
    talk = Talk()
    talk.ask()
    done: list[Action] = []
    for _ in range(40):
        due = talk.turns.deadline
        if due is None:
            break
        talk.now = due + 2 * LATE_S
        done += talk.turns.tick(talk.now)
    assert done[:3] == [FILLER, GiveUp(1), apology(2)]


def test_a_silent_caller_who_spoke_meanwhile_is_not_asked_whether_they_are_there() -> None:
    talk = Talk()
    talk.then(CallOpened(greet=False))
    talk.wait(9.0)
    assert talk.stand_still(3.0) == []
    assert talk.then(CallerBegan(0), 0.1) == []
    assert talk.wait(6.0) == []


def test_words_that_came_meanwhile_drop_the_reply_that_they_held_up() -> None:
    talk = Talk()
    talk.ask()
    assert talk.then(CallerBegan(1), 0.1) == [Hold(1)]
    assert talk.stand_still(3.0) == []  # 0.35 s without words, and the reply would have gone on
    assert talk.then(TextChanged(1, "עם זיתים"), 0.1) == [Cancel(1)]


@pytest.mark.parametrize("first", [None, TextChanged(0, TEXT)])
def test_a_tool_is_not_carried_out_for_words_whose_final_came_meanwhile(first: Input | None) -> None:
    talk = Talk()
    talk.ask()
    assert talk.turns.acting is None
    talk.wait(0.3)
    talk.stand_still(4.0, first)
    assert talk.turns.acting is None
    talk.then(TextSettled(0, TEXT), 0.1)
    assert talk.turns.acting == 1


def test_what_is_put_off_keeps_its_order() -> None:
    thresholds = TurnThresholds(filler_ms=1000, apology_ms=1300)
    talk = TimedTurns(Turns(thresholds))
    talk.then(CallerBegan(0))
    talk.then(TextChanged(0, TEXT), 0.5)
    talk.then(TextReached(0, TEXT), 0.1)
    talk.then(CallerStopped(0, talk.now))
    talk.now += 10.0
    assert talk.turns.tick(talk.now) == []
    assert talk.wait(READING_S + 0.05) == [FILLER, GiveUp(1), apology(2)]
