"""The turn table, row by row."""

from __future__ import annotations

import pytest

from batkol.conversation.actions import (
    Ask,
    Cancel,
    CorrectCaller,
    GiveUp,
    HangUp,
    Hold,
    Interrupt,
    Release,
    Resume,
    SayPhrase,
    StockPhrase,
)
from batkol.conversation.inputs import (
    AnnouncementAsked,
    AnnouncementReady,
    AttemptLost,
    CallClosing,
    CallerBegan,
    CallerLasted,
    CallerPaused,
    CallerStopped,
    CallOpened,
    ReplyPlayed,
    ReplyRanDry,
    ReplySounded,
    ReplyWentOn,
    ServiceFailed,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
    TextWithdrawn,
    ToolsBegan,
    ToolsEnded,
)
from batkol.conversation.turn import State
from batkol.conversation.turns import Turns
from batkol.speech.lexicon import lexicon
from batkol.speech.turn_thresholds import TurnThresholds
from support.agent.timed_turns import TimedTurns


def in_state(talk: Talk, state: State) -> bool:
    return talk.turns.state is state


class Talk(TimedTurns):
    """A conversation at given times; remembers what it was told to do."""

    def __init__(
        self, *, greeting_yields: bool = True, thresholds: TurnThresholds | None = None, answers: bool = True
    ) -> None:
        super().__init__(Turns(thresholds, greeting_yields=greeting_yields, answers=answers))

    def ask(self, text: str = "מה השעה עכשיו") -> None:
        """An utterance whose text reaches its end."""
        self.then(CallerBegan(0))
        self.then(TextChanged(0, text), 0.5)
        assert self.then(TextReached(0, text), 0.1) == [Ask(1, text, speculative=True)]

    def speak(self) -> None:
        """A turn whose reply is heard."""
        self.ask()
        assert self.then(CallerStopped(0, self.now), 0.4) == [Release(1)]
        self.then(ReplySounded(1), 0.2)
        assert in_state(self, State.SPEAKING)


def test_asks_when_the_text_reaches_and_commits_at_the_end_of_speech() -> None:
    talk = Talk()
    talk.ask()
    assert in_state(talk, State.GUESSING)

    assert talk.then(CallerStopped(0, talk.now), 0.4) == [Release(1)]
    assert in_state(talk, State.THINKING)
    assert talk.then(TextSettled(0, "מה השעה עכשיו?"), 0.1) == []  # the same words

    talk.then(ReplySounded(1), 0.1)
    assert in_state(talk, State.SPEAKING)
    assert talk.then(ReplyPlayed(1), 3.0) == []
    assert in_state(talk, State.LISTENING)
    assert talk.turns.unanswered == ""


def test_a_pause_is_given_time_to_end_before_the_answerer_is_asked() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerPaused(0, talk.now), 0.1)
    assert talk.then(TextReached(0, "מה השעה"), 0.04) == []  # 140 ms after the last sample
    assert in_state(talk, State.GUESSING)
    assert talk.wait(0.005) == []
    assert talk.wait(0.01) == [Ask(1, "מה השעה", speculative=True)]


def test_a_text_that_comes_after_the_end_of_speech_is_committed_without_its_final() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.5)

    done = talk.then(TextReached(0, "מה השעה"), 0.1)
    assert done == [Ask(1, "מה השעה", speculative=True), Release(1)]


def test_an_attempt_that_no_speech_holds_is_kept_until_the_turn_is_committed() -> None:
    talk = Talk()
    talk.ask("אני רוצה לקבוע את")
    assert talk.then(CallerStopped(0, talk.now), 0.3) == [], "another word is needed"
    assert talk.then(TextSettled(0, "אני רוצה לבטל את"), 0.1) == [], "the attempt may be right all the same"
    talk.then(TextRevised(0, "אני רוצה לקבוע את"), 0.1)

    assert talk.wait(0.5) == [Release(1)]


def test_a_pause_that_ends_in_time_costs_no_attempt() -> None:
    for end in (TextWithdrawn(0, by_speech=True), TextWithdrawn(0, by_speech=False), CallClosing()):
        talk = Talk()
        talk.then(CallerBegan(0))
        talk.then(CallerPaused(0, talk.now), 0.1)
        talk.then(TextReached(0, "מה השעה"), 0.04)
        assert talk.then(end, 0.005) == []
        assert talk.wait(1.0) == []


def test_the_end_of_speech_does_not_wait_for_the_pause_to_end() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerPaused(0, talk.now), 0.1)
    talk.then(TextReached(0, "מה השעה"), 0.04)
    done = talk.then(CallerStopped(0, talk.now - 0.15), 0.005)
    assert done == [Ask(1, "מה השעה", speculative=False), Release(1)]
    assert talk.wait(0.5) == []


def test_a_text_that_changes_in_a_pause_is_asked_about_when_the_pause_has_lasted() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerPaused(0, talk.now), 0.1)
    talk.then(TextReached(0, "מה השעה"), 0.04)
    talk.then(TextWithdrawn(0, by_speech=False), 0.005)
    assert talk.then(TextReached(0, "מה השעה עכשיו")) == []
    assert talk.wait(0.1) == [Ask(1, "מה השעה עכשיו", speculative=True)]


def test_asks_again_for_another_text_at_most_three_times_in_an_utterance() -> None:
    talk = Talk()
    talk.ask("אני")
    assert talk.then(TextWithdrawn(0, by_speech=False)) == [Cancel(1)]
    assert talk.then(TextReached(0, "אני רוצה")) == [Ask(2, "אני רוצה", speculative=True)]
    assert talk.then(TextReached(0, "אני רוצה פיצה")) == [Cancel(2), Ask(3, "אני רוצה פיצה", speculative=True)]
    assert talk.then(TextReached(0, "אני רוצה פיצה גדולה")) == [Cancel(3)]

    done = talk.then(CallerStopped(0, talk.now), 0.4)
    assert done == [Ask(4, "אני רוצה פיצה גדולה", speculative=False), Release(4)]


def test_each_utterance_of_a_turn_may_be_asked_about_anew() -> None:
    talk = Talk()
    talk.ask("אני")
    for number, text in ((2, "אני רוצה"), (3, "אני רוצה פיצה")):
        assert talk.then(TextReached(0, text)) == [Cancel(number - 1), Ask(number, text, speculative=True)]
    assert talk.then(TextReached(0, "אני רוצה פיצה עם")) == [Cancel(3)]
    talk.then(CallerStopped(0, talk.now), 0.4)  # the ending is unfinished: the turn goes on

    talk.then(CallerBegan(1), 0.1)
    assert talk.then(TextReached(1, "זיתים"), 0.3) == [Ask(4, "אני רוצה פיצה עם זיתים", speculative=True)]


def test_keeps_the_attempt_for_a_breath_and_drops_it_when_speech_goes_on() -> None:
    talk = Talk()
    talk.ask()
    talk.then(TextWithdrawn(0, by_speech=True))
    assert in_state(talk, State.LISTENING)
    assert talk.then(TextReached(0, "מה השעה עכשיו"), 0.1) == []  # a breath
    assert in_state(talk, State.GUESSING)

    talk.then(TextWithdrawn(0, by_speech=True))
    assert talk.wait(0.2) == [Cancel(1)]


def test_noise_that_begins_behind_the_last_word_does_not_keep_the_caller_waiting() -> None:
    talk = Talk()
    talk.ask()
    talk.then(TextWithdrawn(0, by_speech=True), 0.1)
    assert talk.wait(0.2) == [Cancel(1)]
    assert talk.wait(1.1) == [Ask(2, "מה השעה עכשיו", speculative=False), Release(2)]


def test_waits_for_an_ending_that_needs_another_word() -> None:
    talk = Talk()
    talk.ask("אני רוצה להזמין אבל")
    assert talk.then(CallerStopped(0, talk.now), 0.4) == []
    assert talk.wait(0.39) == []
    assert talk.wait(0.02) == [Release(1)]


def test_waits_while_digits_are_dictated() -> None:
    talk = Talk()
    talk.ask("המספר שלי 052 123")
    assert talk.then(CallerStopped(0, talk.now), 0.4) == []
    assert talk.then(CallerBegan(1), 0.6) == []
    assert talk.wait(0.2) == [Cancel(1)]
    talk.then(TextReached(1, "4567"), 0.4)
    assert talk.turns.unanswered == "המספר שלי 052 123 4567"
    assert talk.then(CallerStopped(1, talk.now), 0.4) == [Release(2)]


def test_a_final_commits_what_no_interim_reached() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 1.0)
    assert talk.then(TextSettled(0, "שלום"), 0.2) == [Ask(1, "שלום", speculative=False), Release(1)]


def test_the_final_restarts_the_reply_once_while_nothing_is_heard() -> None:
    talk = Talk()
    talk.ask("אני רוצה שתי פיצות")
    talk.then(CallerStopped(0, talk.now), 0.4)
    done = talk.then(TextSettled(0, "אני רוצה שלוש פיצות"), 0.1)
    assert done == [Cancel(1), Ask(2, "אני רוצה שלוש פיצות", speculative=False), Release(2)]


def test_a_word_that_comes_after_the_commit_is_answered_too_while_nothing_is_heard() -> None:
    talk = Talk()
    talk.ask("אני רוצה")
    assert talk.then(CallerStopped(0, talk.now), 0.4) == [Release(1)]
    assert talk.then(TextWithdrawn(0, by_speech=False), 0.05) == []
    assert talk.then(TextReached(0, "אני רוצה תו")) == [Cancel(1), Ask(2, "אני רוצה תו", speculative=False), Release(2)]
    assert talk.then(TextReached(0, "אני רוצה, תו"), 0.05) == []
    assert talk.then(TextReached(0, "אני רוצה טוב"), 0.05) == [], "another word is left to the final"
    grown = [Cancel(2), Ask(3, "אני רוצה תור", speculative=False), Release(3)]
    assert talk.then(TextReached(0, "אני רוצה תור"), 0.05) == grown
    final = [Cancel(3), Ask(4, "אני רוצה תור מחר", speculative=False), Release(4)]
    assert talk.then(TextSettled(0, "אני רוצה תור מחר"), 0.05) == final, "growth does not use the final's restart up"
    talk.then(ReplySounded(4), 0.2)
    assert talk.then(TextReached(0, "אני רוצה תור מחר בבוקר"), 0.05) == []


def test_a_text_that_grows_on_and_on_after_the_commit_is_asked_about_three_times() -> None:
    talk, text = Talk(), "רוצה תור מחר בבוקר אצל רופא"
    words = text.split()
    talk.ask(words[0])
    talk.then(CallerStopped(0, talk.now), 0.6)
    done = [talk.then(TextReached(0, " ".join(words[:count])), 0.02) for count in range(2, 7)]
    assert [bool(actions) for actions in done] == [True, True, True, False, False]


def test_a_final_that_comes_after_the_first_sound_changes_the_record_only() -> None:
    talk = Talk()
    talk.speak()
    late = CorrectCaller("מה השעה עכשיו", "מה השעה מחר בבוקר")
    assert talk.then(TextSettled(0, "מה השעה מחר בבוקר")) == [late]
    assert talk.then(TextRevised(0, "מה השעה, מחר בבוקר?")) == []
    assert talk.then(TextRevised(0, "מה השעה")) == [CorrectCaller("מה השעה מחר בבוקר", "מה השעה")]
    assert in_state(talk, State.SPEAKING)


def test_a_corrected_final_restarts_the_reply_once_while_nothing_is_heard() -> None:
    talk = Talk()
    talk.ask("אני רוצה שתי פיצות")
    talk.then(CallerStopped(0, talk.now), 0.4)
    assert talk.then(TextSettled(0, "אני רוצה שתי פיצות"), 0.1) == []
    done = talk.then(TextRevised(0, "אני רוצה שלוש פיצות"), 0.1)
    assert done == [Cancel(1), Ask(2, "אני רוצה שלוש פיצות", speculative=False), Release(2)]
    late = CorrectCaller("אני רוצה שלוש פיצות", "אני רוצה ארבע פיצות", attempt=2)  # it is not replaced once more
    assert talk.then(TextRevised(0, "אני רוצה ארבע פיצות"), 0.1) == [late]
    assert talk.then(ReplySounded(2), 0.3) == []


def test_a_reply_that_speech_holds_is_asked_for_anew_when_its_words_were_others() -> None:
    talk = Talk()
    talk.ask("אני רוצה שתי פיצות")
    talk.then(CallerStopped(0, talk.now), 0.4)
    talk.then(TextSettled(0, "אני רוצה שתי פיצות"), 0.1)
    assert talk.then(CallerBegan(1), 0.1) == [Hold(1)]
    assert talk.then(TextRevised(0, "אני רוצה שתי פיצות."), 0.05) == []
    assert talk.then(TextRevised(0, "אני רוצה שלוש פיצות"), 0.05) == [Cancel(1)]
    assert talk.wait(0.4) == [Ask(2, "אני רוצה שלוש פיצות", speculative=False), Release(2)]


def test_a_late_word_corrects_the_words_of_a_reply_of_two_utterances() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(TextChanged(0, "שלום"), 0.2)
    talk.then(CallerStopped(0, talk.now), 0.4)
    talk.then(CallerBegan(1), 0.1)
    talk.then(TextReached(1, "אני רוצה תו"), 0.5)
    talk.then(CallerStopped(1, talk.now), 0.4)
    assert talk.then(ReplySounded(talk.turns.attempt or 0), 0.2) == []
    late = CorrectCaller("שלום אני רוצה תו", "שלום אני רוצה תור")
    assert talk.then(TextSettled(1, "אני רוצה תור"), 0.1) == [late]


def test_words_that_a_correction_alone_has_are_answered_unless_the_caller_has_gone_on() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.5)
    assert talk.then(TextSettled(0, ""), 0.4) == []
    assert talk.then(TextRevised(0, "אני רוצה תור"), 0.3) == [Ask(1, "אני רוצה תור", speculative=False), Release(1)]

    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.5)
    talk.then(TextSettled(0, ""), 0.4)
    talk.then(CallerBegan(1), 0.1)
    assert talk.then(TextRevised(0, "אני רוצה תור"), 0.3) == []


def test_a_late_word_corrects_only_what_the_newest_reply_has_answered_of_an_utterance() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(TextChanged(0, "שלום"), 0.2)
    assert talk.wait(1.3) == [Ask(1, "שלום", speculative=False), Release(1)]
    talk.then(ReplySounded(1), 0.2)
    talk.then(TextChanged(0, "שלום אני רוצה תו"), 0.5)
    talk.then(CallerStopped(0, talk.now), 0.5)
    talk.then(TextReached(0, "שלום אני רוצה תו"), 0.1)
    talk.then(ReplySounded(talk.turns.attempt or 0), 0.3)
    late = talk.then(TextSettled(0, "שלום אני רוצה תור"), 0.1)
    assert late == [CorrectCaller("אני רוצה תו", "אני רוצה תור")]


def test_new_speech_holds_the_reply_and_without_words_it_goes_on() -> None:
    talk = Talk()
    talk.ask()
    talk.then(CallerStopped(0, talk.now), 0.4)
    assert talk.then(CallerBegan(1), 0.1) == [Hold(1)]
    assert talk.wait(0.34) == []
    assert talk.wait(0.02) == [Release(1)]


def test_no_filler_while_speech_holds_the_reply() -> None:
    talk = Talk()
    talk.ask()
    talk.then(CallerStopped(0, talk.now), 0.4)  # the last sample was 0.4 s ago
    assert talk.then(CallerBegan(1), 0.85) == [Hold(1)]
    assert talk.wait(0.3) == []  # 1.55 s
    assert talk.wait(0.1) == [Release(1), SayPhrase(StockPhrase.FILLER)]


def test_a_mm_hm_that_held_the_reply_lets_it_go_on_once() -> None:
    talk = Talk()
    talk.ask()
    talk.then(CallerStopped(0, talk.now), 0.4)
    assert talk.then(CallerBegan(1), 0.05) == [Hold(1)]
    talk.then(CallerStopped(1, talk.now), 0.1)
    assert talk.then(TextSettled(1, "כן"), 0.05) == [Release(1)]
    assert talk.wait(0.9) == []


def test_words_before_the_reply_join_the_turn() -> None:
    talk = Talk()
    talk.ask("אני רוצה פיצה")
    talk.then(CallerStopped(0, talk.now), 0.4)
    talk.then(CallerBegan(1), 0.1)
    assert talk.then(TextChanged(1, "עם זיתים"), 0.2) == [Cancel(1)]
    assert talk.then(TextReached(1, "עם זיתים"), 0.2) == [Ask(2, "אני רוצה פיצה עם זיתים", speculative=True)]
    assert talk.then(CallerStopped(1, talk.now), 0.4) == [Release(2)]


def test_a_filler_once_and_then_the_apology() -> None:
    talk = Talk()
    talk.ask()
    last_sample = talk.now
    talk.then(CallerStopped(0, last_sample), 0.4)
    assert talk.wait(0.85) == []
    assert talk.wait(0.1) == [SayPhrase(StockPhrase.FILLER)]  # 1.3 s: at the ear by 1.5 s
    assert talk.wait(1.9) == []
    assert talk.wait(0.1) == [GiveUp(1), SayPhrase(StockPhrase.APOLOGY, 2, "מה השעה עכשיו")]
    assert in_state(talk, State.SPEAKING)


def test_fillers_take_the_place_of_the_apology_while_tools_are_within_their_time() -> None:
    talk = Talk()
    talk.ask()
    talk.then(CallerStopped(0, talk.now), 0.4)
    talk.then(ToolsBegan(1, 5.0), 0.1)  # given up 5.1 s after the last sample, and 2 s more for the answer

    filler = SayPhrase(StockPhrase.FILLER)
    assert [talk.wait(each) for each in (0.75, 0.1, 1.9, 0.1, 3.4, 0.1)] == [[], [filler], [], [filler], [], [filler]]
    assert talk.wait(0.6) == []
    assert talk.wait(0.1) == [GiveUp(1), SayPhrase(StockPhrase.APOLOGY, 2, "מה השעה עכשיו")]


def test_the_apology_comes_two_seconds_after_the_tools_and_not_before_its_own_time() -> None:
    for ends_at, apology_at in ((0.3, 3.3), (3.0, 5.0), (4.0, 6.0)):
        talk = Talk()
        talk.ask()
        talk.then(CallerStopped(0, talk.now), 0.2)
        last_sample = talk.now - 0.2
        talk.then(ToolsBegan(1, 8.0))
        talk.wait(last_sample + ends_at - talk.now)
        talk.then(ToolsEnded(1))
        talk.wait(last_sample + apology_at - 0.01 - talk.now)
        assert in_state(talk, State.THINKING)
        assert talk.wait(0.02)[-1] == SayPhrase(StockPhrase.APOLOGY, 2, "מה השעה עכשיו")


def test_a_reply_that_runs_dry_while_its_tools_run_has_fillers_until_they_are_over() -> None:
    filler = [SayPhrase(StockPhrase.FILLER)]
    talk = Talk()
    talk.speak()
    assert talk.then(ToolsBegan(1, 8.0), 0.1) == []
    assert talk.wait(3.0) == [], "the reply is heard"
    assert talk.then(ReplyRanDry(1)) == []
    assert [talk.wait(each) for each in (1.25, 0.1, 1.9, 0.1)] == [[], filler, [], filler]
    assert talk.then(ToolsEnded(1)) == []
    assert talk.then(ReplyWentOn(1), 1.9) == []
    assert talk.wait(8.0) == []
    assert in_state(talk, State.SPEAKING)


def test_a_reply_that_hangs_behind_its_tools_is_given_up_and_apologized_for() -> None:
    filler, apology = [SayPhrase(StockPhrase.FILLER)], [GiveUp(1), SayPhrase(StockPhrase.APOLOGY, 2)]
    talk = Talk()
    talk.speak()
    talk.then(ToolsBegan(1, 8.0), 0.1)
    talk.then(ToolsEnded(1), 0.5)
    assert talk.then(ReplyRanDry(1), 0.5) == []
    assert [talk.wait(each) for each in (1.25, 0.1, 1.9, 0.1)] == [[], filler, [], apology]
    assert in_state(talk, State.SPEAKING)


def test_a_reply_that_hangs_in_the_middle_is_given_up_unless_it_goes_on() -> None:
    filler, apology = [SayPhrase(StockPhrase.FILLER)], [GiveUp(1), SayPhrase(StockPhrase.APOLOGY, 2)]
    talk = Talk()
    talk.speak()
    talk.then(ReplyRanDry(1))
    assert talk.wait(1.35) == filler
    assert talk.then(ReplyWentOn(1)) == []
    assert talk.wait(60) == [], "the reply is heard"
    talk.then(ReplyRanDry(1))
    assert talk.wait(3.35) == [*filler, *apology]


def test_a_reply_that_breaks_off_after_the_filler_is_apologized_for() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyRanDry(1))
    assert talk.wait(1.35) == [SayPhrase(StockPhrase.FILLER)]
    assert talk.then(ReplyPlayed(1, broke=True), 1.0) == [SayPhrase(StockPhrase.APOLOGY, 2)]


@pytest.mark.parametrize(("pause_s", "broke"), [(1.0, True), (2.0, False)], ids=["no filler yet", "all was said"])
def test_a_reply_that_ends_in_a_pause_gives_the_caller_the_floor(pause_s: float, *, broke: bool) -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyRanDry(1))
    talk.wait(pause_s)
    assert talk.then(ReplyPlayed(1, broke=broke)) == []
    assert in_state(talk, State.LISTENING)


def test_an_announcement_that_hangs_is_given_up_in_silence_where_there_is_no_answerer() -> None:
    talk = Talk(answers=False)
    talk.then(AnnouncementAsked(1))
    talk.then(AnnouncementReady(1))
    talk.then(ReplyRanDry(1))
    assert talk.wait(3.35) == [GiveUp(1)]
    assert in_state(talk, State.LISTENING)


def test_news_of_another_attempt_change_nothing_for_a_reply_with_a_pause() -> None:
    talk = Talk()
    talk.speak()
    assert talk.then(ReplyRanDry(2)) == []
    assert talk.wait(9.0) == []
    talk.then(ReplyRanDry(1))
    talk.then(ReplyWentOn(2))
    assert talk.wait(1.35) == [SayPhrase(StockPhrase.FILLER)]


def test_an_interruption_ends_the_wait_for_the_tools_of_a_reply() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ToolsBegan(1, 8.0), 0.1)
    talk.then(ReplyRanDry(1), 1.0)
    talk.then(CallerBegan(1))
    assert talk.then(CallerLasted(1), 0.4) == [Interrupt(1)]
    assert SayPhrase(StockPhrase.FILLER) not in talk.wait(1.15)


def test_tools_of_an_attempt_that_was_replaced_put_nothing_off() -> None:
    talk = Talk()
    talk.ask()
    talk.then(CallerStopped(0, talk.now), 0.4)
    talk.then(ToolsBegan(1, 8.0))
    talk.then(TextSettled(0, "מה השעה מחר"), 0.1)
    talk.then(ToolsEnded(1), 0.1)
    done = talk.wait(3.5)
    assert [each for each in done if isinstance(each, SayPhrase)] == [
        SayPhrase(StockPhrase.FILLER), SayPhrase(StockPhrase.APOLOGY, 3, "מה השעה מחר"),
    ]  # fmt: skip


def test_asks_the_caller_to_repeat_what_no_recognizer_could_hear() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.5)
    assert talk.then(TextSettled(0, "", failed=True), 0.5) == [SayPhrase(StockPhrase.REPEAT, 1)]


def test_a_cough_is_no_turn() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.3)
    assert talk.then(TextSettled(0, ""), 0.5) == []
    assert talk.wait(9.0) == []
    assert in_state(talk, State.LISTENING)


def test_an_answerer_that_fails_is_asked_once_more_and_then_excused() -> None:
    talk = Talk()
    talk.ask()
    talk.then(CallerStopped(0, talk.now), 0.4)
    assert talk.then(AttemptLost(1), 0.1) == [Ask(2, "מה השעה עכשיו", speculative=False), Release(2)]
    assert talk.then(AttemptLost(2), 0.1) == [SayPhrase(StockPhrase.APOLOGY, 3, "מה השעה עכשיו")]


def test_an_attempt_that_fails_before_the_end_of_speech_is_known_costs_an_attempt_and_may_cost_a_filler() -> None:
    """The rows of the failure table in which each attempt fails after 0.4 s: either order of the two is met there."""
    after = Talk()
    after.ask()
    last = after.now
    after.then(CallerStopped(0, last), 0.42)
    assert after.then(AttemptLost(1), 0.02) == [Ask(2, "מה השעה עכשיו", speculative=False), Release(2)]
    assert after.then(AttemptLost(2), 0.44) == [SayPhrase(StockPhrase.APOLOGY, 3, "מה השעה עכשיו")]

    before = Talk()
    before.ask()
    assert before.then(AttemptLost(1), 0.44) == []
    assert before.then(CallerStopped(0, last), 0.02) == [Ask(2, "מה השעה עכשיו", speculative=False), Release(2)]
    assert before.then(AttemptLost(2), 0.44) == [Ask(3, "מה השעה עכשיו", speculative=False), Release(3)]
    assert before.then(AttemptLost(3), 0.44) == [
        SayPhrase(StockPhrase.FILLER), SayPhrase(StockPhrase.APOLOGY, 4, "מה השעה עכשיו"),
    ]  # fmt: skip
    assert before.now - last < TurnThresholds().apology_ms / 1000


def test_a_backchannel_word_does_not_interrupt() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    assert in_state(talk, State.YIELDING)
    assert talk.then(TextChanged(1, "כן"), 0.3) == []
    assert talk.then(CallerStopped(1, talk.now), 0.3) == []
    assert talk.then(TextSettled(1, "כן, בסדר"), 0.3) == []
    assert in_state(talk, State.SPEAKING)
    talk.then(ReplyPlayed(1), 3.0)
    assert talk.turns.unanswered == ""


def test_half_a_backchannel_word_that_grows_does_not_interrupt() -> None:
    """An interim's last word may still grow: `כ` is on its way to `כן`, `מ` to `מהמ`."""
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    talk.then(TextChanged(1, "כ"), 0.2)
    assert talk.then(CallerLasted(1), 0.2) == []
    assert talk.then(TextChanged(1, "כן"), 0.1) == []
    assert in_state(talk, State.YIELDING)


def test_half_a_backchannel_word_that_grows_into_another_word_interrupts_with_it() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    talk.then(TextChanged(1, "כ"), 0.2)
    assert talk.then(CallerLasted(1), 0.2) == []
    assert Interrupt(1) in talk.then(TextChanged(1, "כמה"), 0.1)


def test_a_short_answer_at_the_end_of_the_question_is_an_answer() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 2.0)
    talk.then(ReplyPlayed(1), 0.3)
    talk.then(TextReached(1, "כן"), 0.1)
    assert talk.then(CallerStopped(1, talk.now), 0.4) == [Release(2)]


def test_speech_that_lasts_interrupts() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    assert talk.then(CallerLasted(1), 0.4) == [Interrupt(1)]
    assert in_state(talk, State.LISTENING)
    assert talk.then(TextChanged(1, "בעצם אני"), 0.3) == [Cancel(1)]
    talk.then(TextReached(1, "בעצם אני רוצה משהו אחר"), 0.8)
    assert talk.then(CallerStopped(1, talk.now), 0.4) == [Release(2)]


def test_a_stop_word_or_two_words_interrupt_at_once() -> None:
    for text in ("רגע", "אני רוצה", "כן אבל רגע"):
        talk = Talk()
        talk.speak()
        talk.then(CallerBegan(1), 1.0)
        assert talk.then(TextChanged(1, text), 0.2) == [Interrupt(1), Cancel(1)], text


def test_one_word_interrupts_when_it_is_all_that_the_caller_said() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    assert talk.then(TextChanged(1, "פיצה"), 0.2) == []
    talk.then(CallerStopped(1, talk.now), 0.3)
    done = talk.then(TextSettled(1, "פיצה"), 0.3)
    assert done == [Interrupt(1), Cancel(1), Ask(2, "פיצה", speculative=False), Release(2)]


def test_the_echo_of_the_reply_does_not_interrupt() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    assert talk.then(TextChanged(1, "השעה היא"), 0.2, sounding="אז השעה היא שלוש") == []
    assert talk.then(CallerLasted(1), 0.2, sounding="אז השעה היא שלוש") == []


def test_noise_that_interrupts_is_no_interruption_after_all() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    talk.then(CallerLasted(1), 0.4)
    assert talk.wait(1.19) == []
    assert talk.wait(0.02) == [Resume(1, 2)]
    assert in_state(talk, State.YIELDING)  # the music goes on
    talk.then(ReplyPlayed(2), 2.0)
    assert talk.turns.attempt is None


def test_after_two_false_interruptions_only_words_interrupt_until_the_line_was_quiet() -> None:
    talk = Talk()
    talk.speak()
    for number in (1, 2):
        talk.then(CallerBegan(number), 0.5)
        assert talk.then(CallerLasted(number), 0.4) == [Interrupt(number)]
        assert talk.wait(1.3) == [Resume(number, number + 1)]
        talk.then(CallerStopped(number, talk.now), 0.1)
    talk.then(CallerBegan(3), 0.5)
    assert talk.then(CallerLasted(3), 0.4) == []
    assert talk.then(TextChanged(3, "אני רוצה"), 0.4) == [Interrupt(3), Cancel(3)]
    talk.then(CallerStopped(3, talk.now), 0.4)
    talk.then(TextSettled(3, "אני רוצה"), 0.1)
    talk.then(ReplySounded(4), 0.5)
    talk.then(CallerBegan(4), 2.5)
    assert talk.then(CallerLasted(4), 0.4) == [Interrupt(4)]


def test_a_detector_that_never_hears_silence_does_not_keep_the_caller_waiting() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(TextChanged(0, "שלום וברכה"), 1.0)
    assert talk.wait(1.19) == []
    assert talk.wait(0.02) == [Ask(1, "שלום וברכה", speculative=False), Release(1)]
    talk.then(ReplySounded(1), 0.5)
    assert talk.then(TextChanged(0, "שלום וברכה אני"), 0.5) == []
    assert talk.then(TextChanged(0, "שלום וברכה אני רוצה"), 0.2) == [Interrupt(1), Cancel(1)]
    assert talk.turns.unanswered == "אני רוצה"


def test_the_greeting_is_interrupted_only_where_it_may_be() -> None:
    for yields, expected in ((True, [Interrupt(1)]), (False, [])):
        talk = Talk(greeting_yields=yields)
        assert talk.then(CallOpened(greet=True)) == [SayPhrase(StockPhrase.GREETING, 1)]
        talk.then(CallerBegan(0), 0.5)
        assert talk.then(CallerLasted(0), 0.4) == expected


def test_words_in_a_greeting_that_does_not_yield_are_answered_after_it() -> None:
    talk = Talk(greeting_yields=False)
    talk.then(CallOpened(greet=True))
    talk.then(CallerBegan(0), 0.5)
    talk.then(TextChanged(0, "אני רוצה פיצה"), 0.5)
    talk.then(CallerStopped(0, talk.now), 0.5)
    assert talk.then(TextSettled(0, "אני רוצה פיצה"), 0.2) == []
    assert talk.then(ReplyPlayed(1), 1.0) == [Ask(2, "אני רוצה פיצה", speculative=False), Release(2)]


def test_silence_is_asked_about_once_and_then_ends_the_call() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    assert talk.wait(10.1) == [SayPhrase(StockPhrase.IDLE, 2)]
    talk.then(ReplyPlayed(2), 1.0)
    assert talk.wait(10.1) == [SayPhrase(StockPhrase.GOODBYE, 3)]
    assert talk.then(ReplyPlayed(3), 1.0) == [HangUp()]
    assert in_state(talk, State.CLOSING)


def test_music_behind_a_reply_does_not_keep_the_caller_from_being_asked() -> None:
    talk = Talk()
    talk.speak()
    talk.then(CallerBegan(1), 1.0)
    talk.then(ReplyPlayed(1), 2.0)
    assert in_state(talk, State.LISTENING)
    assert talk.turns.talking, "for the detector"

    assert talk.wait(9.9) == []
    assert talk.wait(0.2) == [SayPhrase(StockPhrase.IDLE, 2)]
    talk.then(ReplyPlayed(2), 1.0)
    assert talk.wait(10.1) == [SayPhrase(StockPhrase.GOODBYE, 3)]


def test_music_that_begins_after_the_reply_is_given_as_long_as_silence() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    talk.then(CallerBegan(1), 6.0)

    assert talk.wait(9.9) == []
    assert talk.wait(0.2) == [SayPhrase(StockPhrase.IDLE, 2)]


def test_a_caller_who_begins_to_speak_is_not_asked_whether_somebody_is_there() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    talk.then(CallerBegan(1), 9.0)
    talk.then(CallerStopped(1, talk.now), 0.5)
    talk.then(TextSettled(1, ""), 0.3)
    talk.then(CallerBegan(2), 9.0)

    assert talk.wait(3.9) == [], "though nothing was said for 20 s: the words may be on the way"
    assert talk.wait(0.2) == [SayPhrase(StockPhrase.IDLE, 2)]


def test_words_of_a_caller_who_goes_on_are_not_asked_about() -> None:
    talk = Talk(thresholds=TurnThresholds(standing_ms=60_000))
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    talk.then(CallerBegan(1), 9.0)
    talk.then(TextChanged(1, "אני"), 1.0)

    assert talk.wait(40.0) == []


def test_noise_that_comes_and_goes_puts_the_question_off_once_and_not_for_ever() -> None:
    talk, asked_at = Talk(), 0.0
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    begun = talk.now
    for number in range(1, 40):
        done = talk.then(CallerBegan(number), 0.5)
        done += talk.then(CallerStopped(number, talk.now), 0.5)
        done += talk.then(TextSettled(number, ""), 0.5)
        if done:
            asked_at = talk.now
            break

    assert done == [SayPhrase(StockPhrase.IDLE, 2)]
    assert 20.0 <= asked_at - begun <= 21.5


def test_noise_whose_finals_come_while_the_next_noise_is_heard_puts_the_question_off_for_30_seconds_at_most() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    begun, done = talk.now, list[object]()
    talk.then(CallerBegan(1), 0.5)
    for number in range(2, 40):
        done += talk.then(CallerStopped(number - 1, talk.now), 0.9)
        done += talk.then(CallerBegan(number), 0.1)
        done += talk.then(TextSettled(number - 1, ""), 0.3)
        if done:
            break

    assert done == [SayPhrase(StockPhrase.IDLE, 2)]
    assert talk.now - begun <= 30.0 + 1.3


def test_speech_that_is_over_is_not_asked_about_while_its_words_are_awaited() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    talk.then(CallerBegan(1), 9.0)
    talk.then(TextChanged(1, ""), 8.0)
    talk.then(CallerStopped(1, talk.now), 0.1)

    assert talk.wait(2.5) == [SayPhrase(StockPhrase.FILLER)]
    assert talk.then(TextSettled(1, "מה השעה")) == [Ask(2, "מה השעה", False), Release(2)]


def test_noise_in_an_interrupted_reply_is_not_asked_about() -> None:
    talk = Talk(thresholds=TurnThresholds(standing_ms=60_000))
    talk.then(CallOpened(greet=False))
    talk.then(CallerBegan(0))
    talk.then(TextChanged(0, "אני רוצה"), 1.0)
    talk.then(TextReached(0, "אני רוצה פיצה"), 35.0)
    talk.then(CallerStopped(0, talk.now), 0.4)
    talk.then(ReplySounded(1), 0.2)
    talk.then(CallerBegan(1), 1.0)
    assert talk.then(CallerLasted(1), 0.4) == [Interrupt(1)]
    talk.then(CallerStopped(1, talk.now), 0.2)
    talk.then(CallerBegan(2), 0.1)

    assert talk.wait(0.2) == []
    assert talk.wait(1.0) == [Resume(1, 2)]


def test_a_question_about_silence_that_was_turned_off_meanwhile_is_not_asked() -> None:
    talk = Talk()
    talk.speak()
    talk.then(ReplyPlayed(1), 2.0)
    talk.turns.tune(TurnThresholds(idle_ms=0), lexicon())

    assert talk.wait(60.0) == []


def test_no_turn_begins_when_the_call_closes() -> None:
    talk = Talk()
    talk.ask()
    assert talk.then(CallClosing()) == [Cancel(1)]
    assert talk.then(CallerStopped(0, talk.now), 0.4) == []
    assert talk.turns.deadline is None


def test_an_apology_ends_the_reply_that_was_interrupted_before_it() -> None:
    talk = Talk(thresholds=TurnThresholds(filler_ms=1, apology_ms=2, wordless_ms=60_000))
    talk.then(CallOpened(greet=True))
    talk.then(ReplySounded(1))
    talk.then(CallerBegan(0), after=0.5)
    assert talk.then(CallerLasted(0), after=0.45) == [Interrupt(1)]

    done = talk.then(CallerStopped(0, talk.now), after=0.1) + talk.wait(1.0)

    assert done == [SayPhrase(StockPhrase.FILLER), Cancel(1), SayPhrase(StockPhrase.REPEAT, 2)]


def test_the_end_of_speech_that_was_answered_already_starts_no_clock() -> None:
    talk = Talk()
    talk.then(CallOpened(greet=False))
    assert talk.then(CallerStopped(3, talk.now)) == []
    assert talk.wait(9.0) == []


def test_a_defect_costs_an_apology_and_what_was_interrupted_never_goes_on() -> None:
    talk = Talk()
    talk.then(CallOpened(greet=True))
    talk.then(ReplySounded(1))
    talk.then(CallerBegan(0), after=0.5)
    assert talk.then(CallerLasted(0), after=0.45) == [Interrupt(1)]

    assert talk.then(ServiceFailed()) == [SayPhrase(StockPhrase.APOLOGY, 2)]
    assert talk.then(CallerStopped(0, talk.now)) == []
    assert talk.wait(5.0) == []
    assert talk.then(ReplyPlayed(2)) == []
    assert talk.then(TextSettled(0, "מה השעה")) == [Ask(3, "מה השעה", False), Release(3)]


def speaking(talk: Talk) -> None:
    """Let the agent answer a first question; it is attempt 1."""
    talk.then(CallOpened(greet=False))
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), after=1.0)
    talk.then(TextSettled(0, "מה השעה"))
    talk.then(ReplySounded(1), after=0.5)


def test_a_yes_shortly_before_the_end_of_the_reply_answers_it() -> None:
    talk = Talk()
    speaking(talk)
    talk.then(CallerBegan(1), after=2.0)
    talk.then(CallerStopped(1, talk.now), after=0.3)
    talk.then(TextSettled(1, "כן"))

    assert talk.then(ReplyPlayed(1), after=0.3) == [Ask(2, "כן", False), Release(2)]


def test_a_mm_hm_long_before_the_end_of_the_reply_is_forgotten() -> None:
    talk = Talk()
    speaking(talk)
    talk.then(CallerBegan(1), after=2.0)
    talk.then(CallerStopped(1, talk.now), after=0.3)
    talk.then(TextSettled(1, "כן"))

    assert talk.then(ReplyPlayed(1), after=0.5) == []
    assert talk.turns.unanswered == ""


def test_a_caller_who_spoke_is_asked_again_before_the_goodbye() -> None:
    talk = Talk()
    speaking(talk)
    talk.then(ReplyPlayed(1))
    assert talk.wait(10.0) == [SayPhrase(StockPhrase.IDLE, 2)]
    talk.then(ReplyPlayed(2), after=1.0)
    talk.then(CallerBegan(1), after=1.0)
    talk.then(CallerStopped(1, talk.now), after=1.0)
    talk.then(TextSettled(1, "מה השעה"))
    talk.then(ReplySounded(3))
    talk.then(ReplyPlayed(3), after=1.0)

    assert talk.wait(10.0) == [SayPhrase(StockPhrase.IDLE, 4)]


def test_speech_that_lasts_holds_the_reply_for_as_long_as_an_interruption_waits_for_words() -> None:
    talk = Talk()
    talk.then(CallOpened(greet=False))
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), after=1.0)
    talk.then(TextSettled(0, "מה השעה"))
    assert talk.then(CallerBegan(1), after=0.2) == [Hold(1)]
    talk.then(CallerLasted(1), after=0.3)

    assert talk.wait(0.85) == []
    assert Release(1) in talk.wait(0.1)


def test_a_backchannel_word_that_reaches_the_end_of_speech_keeps_the_held_reply() -> None:
    talk = Talk()
    talk.then(CallOpened(greet=False))
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), after=1.0)
    talk.then(TextSettled(0, "מה השעה"))
    assert talk.then(CallerBegan(1), after=0.2) == [Hold(1)]

    assert talk.then(TextReached(1, "כן"), after=0.2) == []
    assert Release(1) in talk.wait(0.2)


def test_an_utterance_that_begins_again_is_spoken_again() -> None:
    talk = Talk()
    talk.then(CallerBegan(0))
    talk.then(CallerStopped(0, talk.now), 0.5)
    talk.then(CallerBegan(0), 0.1)
    talk.then(TextChanged(0, "כן"), 0.1)

    assert talk.turns.talking
    assert talk.wait(1.3) == [Ask(1, "כן", speculative=False), Release(1)]
