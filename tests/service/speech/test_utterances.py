"""How an utterance closes, in plain examples; `test_utterances_in_a_call.py` has the properties."""

import pytest

from batkol.speech.outcomes import Final, Missed, Partial, Revision, TakenBack, Unconfirmed
from batkol.speech.results import Transcript
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.speech.utterances import KEPT, LONGEST, Utterances, UtteranceTimeouts
from support.speech.sentences import PRE_ROLL, SECOND, begin, fall_silent, final, interim, spoken


def test_an_interim_is_a_partial_of_the_utterance_being_spoken() -> None:
    utterances = Utterances(UtteranceTimeouts())
    first = begin(utterances, 1)

    assert utterances.dispatch(interim("שלום", 0, 2)) == [Partial(first, "שלום", 2 * SECOND, 0.9)]
    assert utterances.speaking is first
    assert utterances.deadline is None


def test_a_final_of_its_first_half_is_part_of_the_next_partial() -> None:
    utterances, first = spoken(final("שלום", 0, 2))

    assert utterances.dispatch(interim("לך", 2, 2.5)) == [Partial(first, "שלום לך", int(2.5 * SECOND), 0.9)]


def test_a_final_that_covers_the_end_closes_it_at_once() -> None:
    utterances, first = spoken()

    assert utterances.dispatch(final("שלום", 0, 2.75)) == [Final(first)]
    assert (first.text, first.source, first.state) == ("שלום", Source.FINAL, UtteranceState.DONE)
    assert utterances.open == []
    assert utterances.deadline is None


def test_a_final_that_came_before_the_silence_was_known_closes_it_then() -> None:
    utterances = Utterances(UtteranceTimeouts())
    first = begin(utterances, 1)
    utterances.dispatch(final("שלום", 0, 3.1))

    assert fall_silent(utterances, 3) == [Final(first)]


def test_a_final_without_a_word_closes_what_is_settled_but_for_its_end() -> None:
    utterances, first = spoken(final("שלום", 0, 2))

    assert utterances.dispatch(Transcript("", 2 * SECOND, 3 * SECOND, final=True)) == [Final(first)]
    assert first.text == "שלום"


def test_a_final_that_seems_to_cover_it_does_not_close_it_over_an_interim_for_the_rest() -> None:
    utterances, first = spoken(final("אני בא", 0, 2.8), interim("מחר", 2.8, 3.1))

    assert first.state is UtteranceState.CLOSING
    assert utterances.tick(3.71) == [Final(first)]
    assert first.text == "אני בא מחר"


def test_a_final_that_stops_short_does_not_close_it() -> None:
    utterances, first = spoken()

    assert utterances.dispatch(final("שלום", 0, 2.74)) == [Partial(first, "שלום", int(2.74 * SECOND), 0.0)]


def test_patience_is_counted_from_the_end_of_speech_but_leaves_time_for_what_was_just_sent() -> None:
    assert UtteranceTimeouts() == UtteranceTimeouts(final=0.7, settle=0.1, give_up=1.5)
    utterances, first = spoken()
    assert utterances.deadline == pytest.approx(3.7)
    assert first.give_up == pytest.approx(4.5)

    late = Utterances(UtteranceTimeouts(final=0.5))
    begin(late, 1)
    late.fall_silent(3 * SECOND, 4 * SECOND, now=4.0)  # a slow VAD: the deadline is over already
    assert late.deadline == pytest.approx(4.1)


def test_at_the_deadline_the_newest_interim_is_promoted() -> None:
    utterances, first = spoken(final("שלום", 0, 1.5), interim("לך", 1.5, 2.6))

    assert utterances.tick(3.69) == []
    assert utterances.tick(3.71) == [Final(first)]
    assert (first.text, first.source) == ("שלום לך", Source.INTERIM)


@pytest.mark.parametrize("short", [interim("שלום", 0, 2.59), final("שלום", 0, 2.59)])
def test_what_stops_short_of_the_end_of_speech_is_not_promoted(short: Transcript) -> None:
    """Its last words are still to come: an answer to half a sentence is worse than a late one."""
    utterances, first = spoken(short)

    assert utterances.tick(3.71) == []
    assert utterances.tick(4.51) == [Missed(first)]


def test_after_the_deadline_the_first_result_that_reaches_the_end_closes_it() -> None:
    utterances, first = spoken(interim("שלום", 0, 2))
    utterances.tick(3.71)

    assert utterances.dispatch(interim("שלום לך", 0, 2.9)) == [Final(first)]
    assert first.text == "שלום לך"


def test_when_nothing_came_it_is_missed_once() -> None:
    utterances, first = spoken()

    assert utterances.tick(3.71) == []
    assert utterances.tick(4.51) == [Missed(first)]
    assert utterances.deadline is None
    assert utterances.tick(9.0) == []
    assert utterances.stream_ended() == [], "its answer is on the way already"
    assert utterances.settle(first, "שלום", Source.SINGLE) == [Final(first)]


def test_a_stream_that_wakes_up_may_still_win_the_race() -> None:
    utterances, first = spoken()
    utterances.tick(4.51)

    assert utterances.dispatch(final("שלום", 0, 3)) == [Final(first)]
    assert utterances.settle(first, "משהו אחר", Source.SINGLE) == []
    assert first.text == "שלום"


@pytest.mark.parametrize(("patience", "now"), [(UtteranceTimeouts(), 4.6), (UtteranceTimeouts(final=2.0), 5.1)])
def test_a_tick_that_finds_both_limits_passed_promotes_first(patience: UtteranceTimeouts, now: float) -> None:
    """The loop was busy, or STT_FINAL_TIMEOUT_MS is longer than the stream is given: the interim is still good."""
    utterances = Utterances(patience)
    first = begin(utterances, 1)
    utterances.dispatch(interim("שלום", 0, 3))
    fall_silent(utterances, 3)

    assert utterances.tick(now) == [Final(first)]
    assert first.source is Source.INTERIM


def test_what_is_recognized_by_a_single_request_waits_for_that_alone() -> None:
    utterances, first = spoken(interim("שלום", 0, 2.9), mode=Mode.SINGLE)

    assert utterances.dispatch(final("שלום", 0, 3.2)) == []
    assert utterances.deadline is None
    assert utterances.tick(99.0) == []
    assert utterances.stream_ended() == []
    assert utterances.settle(first, "שלום לך", Source.SINGLE) == [Final(first)]


def test_when_the_stream_has_ended_what_it_knew_is_promoted_and_the_rest_asked_elsewhere() -> None:
    utterances, first = spoken(interim("שלום", 0, 2.9))
    second = begin(utterances, 4)
    fall_silent(utterances, 6)

    assert utterances.stream_ended() == [Final(first), Missed(second)]
    assert utterances.deadline is None


def test_an_utterance_that_left_the_stream_has_no_deadline() -> None:
    utterances, first = spoken(interim("שלום", 0, 2.9))
    utterances.drop_stream(first)

    assert utterances.deadline is None
    assert utterances.tick(99.0) == []
    assert utterances.open == [first]


def test_two_utterances_cannot_be_spoken_at_once() -> None:
    utterances = Utterances(UtteranceTimeouts())
    first = begin(utterances, 1)

    with pytest.raises(RuntimeError, match="utterance 0 is still being spoken"):
        begin(utterances, 4)
    assert utterances.open == [first]
    fall_silent(utterances, 3)
    assert begin(utterances, 4).index == 1


def test_what_is_still_being_spoken_cannot_be_settled() -> None:
    utterances = Utterances(UtteranceTimeouts())
    first = begin(utterances, 1)

    with pytest.raises(RuntimeError, match="speaking: it cannot have settled"):
        utterances.settle(first, "שלום", Source.SINGLE)
    assert (first.state, first.text, first.source) == (UtteranceState.SPEAKING, "", None)


def test_silence_after_silence_is_nothing() -> None:
    assert fall_silent(Utterances(UtteranceTimeouts()), 3) == []


def test_late_results_find_the_last_eight_and_no_open_one_is_ever_forgotten() -> None:
    utterances = Utterances(UtteranceTimeouts())
    waiting = [begin(utterances, 1)]
    for n in range(1, 30):
        fall_silent(utterances, 4 * n - 1)
        if n > 12:
            utterances.settle(waiting.pop(0), "כן", Source.SINGLE)
        waiting.append(begin(utterances, 4 * n))
        assert utterances.open == waiting
        assert len(utterances._recent) <= max(KEPT, len(waiting))
    assert KEPT == 8


def test_a_cut_at_55_seconds_parts_the_words_at_the_cut() -> None:
    """The policy cuts there and begins the next at the same sample; with its tail a request stays under 60 s."""
    assert LONGEST == 55 * SECOND
    utterances = Utterances(UtteranceTimeouts())
    first = utterances.begin(0, PRE_ROLL, Mode.STREAMING)
    utterances.fall_silent(LONGEST, LONGEST, now=55.0)
    second = utterances.begin(LONGEST, LONGEST, Mode.STREAMING)
    utterances.dispatch(final("לפני אחרי", 50, 56, at=(54.89, 54.91)))

    assert (first.text, second.newest) == ("לפני", "אחרי")


def test_a_word_in_the_pre_roll_belongs_to_the_utterance_it_leads() -> None:
    """300 ms before the VAD heard speech; but not across the middle of a short silence."""
    utterances, first = spoken()
    second = utterances.begin(int(3.7 * SECOND), 4 * SECOND, Mode.STREAMING)
    utterances.dispatch(final("כן אני", 0, 4.1, at=(3.39, 3.62)))

    assert (first.text, second.newest) == ("כן", "אני")


# -- finals that are long in coming ------------------------------------------------------------------------------


def test_a_final_after_many_utterances_finds_each_of_them() -> None:
    """A caller who hardly pauses: the recognizer settles nothing until he does."""
    utterances = Utterances(UtteranceTimeouts())
    said = []
    for number in range(12):
        said.append(begin(utterances, 1 + 2 * number))
        utterances.dispatch(interim(f"טעות{number}", 1 + 2 * number, 2 + 2 * number))
        fall_silent(utterances, 2 + 2 * number)
        utterances.tick(2.8 + 2 * number)
    assert {u.source for u in said} == {Source.INTERIM}

    words = " ".join(f"מילה{number}" for number in range(12))
    outcomes = utterances.dispatch(final(words, 0, 24, at=tuple(1.3 + 2 * number for number in range(12))))

    assert outcomes == [Revision(u, f"מילה{number}") for number, u in enumerate(said)]


def promoted() -> tuple[Utterances, Utterance]:
    """A sentence from 1 s to 3 s, answered from its interim at 3.7 s."""
    utterances, utterance = spoken(interim("שלום עולמ", 1, 3))
    assert utterances.tick(3.7) == [Final(utterance)]
    return utterances, utterance


def test_a_promoted_interim_that_nothing_confirms_is_named_once() -> None:
    utterances, utterance = promoted()
    due = utterances.deadline
    assert due == 1.5 + 3 + UtteranceTimeouts().confirm

    assert utterances.tick(due) == [Unconfirmed(utterance)]
    assert utterances.deadline is None
    assert utterances.settle(utterance, "שלום עולם", Source.SINGLE) == [Revision(utterance, "שלום עולם")]


def test_while_the_stream_goes_on_answering_its_final_is_only_late() -> None:
    utterances, utterance = promoted()
    begin(utterances, 4)
    for now in (5.0, 8.0, 11.0):
        utterances.dispatch(interim("מה נשמע", 4, now))
        due = utterances.deadline
        assert due is not None
        assert utterances.tick(due) == []
        assert utterance.awaits_final
    due = utterances.deadline
    assert due is not None
    assert utterances.tick(due) == [Unconfirmed(utterance)]


def test_a_final_confirms_what_was_promoted() -> None:
    utterances, utterance = promoted()

    assert utterances.dispatch(final("שלום עולמ", 1, 3)) == []
    assert not utterance.awaits_final
    assert utterances.stream_ended() == []


def test_the_end_of_the_stream_leaves_nothing_unconfirmed() -> None:
    utterances, utterance = promoted()

    assert utterances.stream_ended() == [Unconfirmed(utterance)]
    assert utterances.stream_ended() == []


def test_words_that_turn_out_to_be_the_next_utterances_leave_the_one_they_were_promoted_with() -> None:
    """The detector was late to tell that another utterance had begun, so the interim seemed to be the first one's."""
    utterances, first = spoken(interim("שלום עולם מה נשמע", 1, 4.5))
    assert utterances.tick(3.7) == [Final(first)]
    assert first.text == "שלום עולם מה נשמע"
    begin(utterances, 3.9)

    outcomes = utterances.dispatch(final("שלום עולם מה נשמע", 1, 4.6, at=(1.2, 2.5, 4.0, 4.3)))

    assert Revision(first, "שלום עולם") in outcomes


def test_an_utterance_that_left_a_stream_with_a_hole_is_not_cut_down_to_what_lies_around_it() -> None:
    utterances, first = promoted()
    utterances.drop_stream(first)

    assert utterances.dispatch(final("עולמ", 2.5, 3.1)) == []
    assert first.text == "שלום עולמ"
    assert utterances.settle(first, "שלום עולם", Source.SINGLE) == [Revision(first, "שלום עולם")]


# -- a second interim that says the same -------------------------------------------------------------------------------


def test_a_second_interim_that_says_the_same_and_reaches_the_end_is_promoted_at_once() -> None:
    utterances, first = spoken(interim("שלום לך", 1, 2.7))

    assert utterances.dispatch(interim("שלום, לך", 1, 2.9)) == [Final(first)]
    assert (first.text, first.source) == ("שלום, לך", Source.INTERIM)
    assert utterances.deadline == first.give_up == 4.5 + UtteranceTimeouts().confirm, "as if the deadline had come"


def test_both_may_come_after_the_silence_is_known() -> None:
    utterances, first = spoken()

    assert utterances.dispatch(interim("שלום", 1, 2.7)) == [Partial(first, "שלום", int(2.7 * SECOND), 0.9)]
    assert utterances.dispatch(interim("שלום", 1, 2.8)) == [Final(first)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (interim("שלום", 1, 2.8), interim("שלום לך", 1, 2.9)),  # it says something else
        (interim("שלום", 1, 2.8), interim("שלום", 1, 2.8)),  # it reaches no further
        (interim("שלום", 1, 2.4), interim("שלום", 1, 2.59)),  # it stops short of the end of speech
        (final("שלום", 1, 2.7), interim("שלום", 2.7, 2.9)),  # the same word again is another one
    ],
)
def test_any_other_second_interim_waits_for_the_clock(one: Transcript, other: Transcript) -> None:
    utterances, first = spoken(one)

    assert utterances.dispatch(other) == [Partial(first, first.newest, other.end, 0.9)]
    assert first.state is UtteranceState.CLOSING


def test_another_stream_that_says_the_same_waits_for_the_clock() -> None:
    """After a fault it hears the same audio again, and the end of it perhaps not yet."""
    utterances, first = spoken(interim("שלום", 1, 2.7, rpc=0))

    assert utterances.dispatch(interim("שלום", 1, 2.9, rpc=1)) == [Partial(first, "שלום", int(2.9 * SECOND), 0.9)]


def test_where_finals_are_waited_for_nothing_is_promoted_early() -> None:
    """ADR 0003: agents that prefer accuracy raise STT_FINAL_TIMEOUT_MS."""
    utterances = Utterances(UtteranceTimeouts(final=1.5))
    first = begin(utterances, 1)
    utterances.dispatch(interim("שלום", 1, 2.8))
    fall_silent(utterances, 3)

    assert utterances.dispatch(interim("שלום", 1, 3.0)) == [Partial(first, "שלום", 3 * SECOND, 0.9)]


def test_while_the_caller_speaks_nothing_is_promoted() -> None:
    utterances = Utterances(UtteranceTimeouts())
    first = begin(utterances, 1)
    utterances.dispatch(interim("שלום", 1, 2.8))

    assert utterances.dispatch(interim("שלום", 1, 3.0)) == [Partial(first, "שלום", 3 * SECOND, 0.9)]


def test_an_interim_that_goes_on_into_the_next_utterance_says_nothing_of_the_one_before() -> None:
    """Its words are counted off by the interim before, so that they would be the same whatever was said."""
    utterances, first = spoken(interim("שלום", 1, 2.7))
    second = begin(utterances, 4)

    assert utterances.dispatch(interim("שלום אני", 1, 4.5)) == [
        Partial(first, "שלום", int(4.5 * SECOND), 0.9),
        Partial(second, "אני", int(4.5 * SECOND), 0.9),
    ]


def test_words_that_the_stream_takes_back_before_the_final_are_told() -> None:
    utterances, first = spoken(interim("שלום", 1, 2.9))

    assert utterances.dispatch(Transcript("", SECOND, 3 * SECOND, final=False)) == [TakenBack(first)]
    assert first.newest == ""
    assert utterances.dispatch(Transcript("", SECOND, 3 * SECOND, final=False)) == []


def test_words_that_turn_out_to_be_the_next_utterances_are_taken_back_too() -> None:
    utterances, first = spoken(interim("שלום", 1, 2.9))
    second = begin(utterances, 4)

    assert utterances.dispatch(final("שלום", 0, 5, at=(4.5,))) == [
        Partial(second, "שלום", 5 * SECOND, 0.0),
        TakenBack(first),
    ]
    assert first.newest == ""
