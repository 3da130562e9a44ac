"""A sentence from 1 s to 3 s, answered from its interim at 3.7 s: what becomes of it in the record."""

import pytest

from batkol.speech.outcomes import Final, Missed, Revision, TakenBack, Unconfirmed, UtteranceOutcome
from batkol.speech.results import Transcript
from batkol.speech.utterance import Source, Utterance
from batkol.speech.utterances import Utterances
from support.speech.sentences import begin, fall_silent, final, interim, spoken

EARLIER, LATER = 0, 1
"""Two RPCs of a session."""


def promoted(*, rpc: int = EARLIER) -> tuple[Utterances, Utterance]:
    utterances, utterance = spoken(interim("אחת", 1, 3, rpc=rpc))
    assert utterances.tick(3.7) == [Final(utterance)]
    return utterances, utterance


def asked(utterances: Utterances) -> list[UtteranceOutcome]:
    """Let the time pass in which the stream still may confirm a promoted interim."""
    due = utterances.deadline
    assert due is not None
    return utterances.tick(due)


# -- what the recognizer takes back ------------------------------------------------------------------------------


def test_a_final_without_text_takes_back_the_promoted_interim_of_its_rpc() -> None:
    utterances, utterance = promoted()

    assert utterances.dispatch(final("", 0, 3)) == [Revision(utterance, "")]
    assert (utterance.text, utterance.awaits_final) == ("", False)
    assert utterances.dispatch(final("", 0, 3)) == []


def test_it_does_so_however_late_it_comes() -> None:
    utterances, utterance = promoted()
    assert asked(utterances) == [Unconfirmed(utterance)]
    assert utterances.settle(utterance, "", Source.NONE) == [Revision(utterance, "אחת")]
    begin(utterances, 9)
    utterances.dispatch(interim("מה נשמע", 9, 10))

    assert utterances.dispatch(final("", 0, 3)) == [Revision(utterance, "")]
    assert not utterance.unconfirmed


def test_an_interim_that_is_taken_back_before_it_was_promoted_is_forgotten() -> None:
    """By a final or by another interim. Somebody else hears the audio, which is in hand."""
    for nothing in (final("", 0, 3), interim("", 0, 3)):
        utterances, utterance = spoken(interim("אחת", 1, 3))

        assert utterances.dispatch(nothing) == [TakenBack(utterance)]
        assert utterances.tick(3.7) == []
        assert utterances.tick(4.5) == [Missed(utterance)]


def test_another_rpc_cannot_take_it_back() -> None:
    """It began later, perhaps in the middle of the word; the single request decides."""
    utterances, utterance = promoted(rpc=EARLIER)

    assert utterances.dispatch(final("", 0, 3, rpc=LATER)) == []
    assert utterance.text == "אחת"
    assert asked(utterances) == [Unconfirmed(utterance)]


@pytest.mark.parametrize("nothing", [final("כן", 0, 6, at=(5.5,), rpc=LATER), final("", 0, 6, rpc=LATER)])
def test_another_rpc_cannot_take_it_back_though_its_interim_was_counted_to_it(nothing: Transcript) -> None:
    """After a fault the later RPC makes out the next sentence alone: its interim's first word goes to the first one."""
    utterances, utterance = promoted(rpc=EARLIER)
    begin(utterances, 5)
    utterances.dispatch(interim("כן", 1, 6, rpc=LATER))
    assert utterance.interim == "כן"

    outcomes = utterances.dispatch(nothing)

    assert not any(isinstance(outcome, Revision) for outcome in outcomes)
    assert utterance.text == "אחת"
    assert asked(utterances) == [], "the stream lives: the final may only be late"
    assert Unconfirmed(utterance) in asked(utterances)


def test_another_rpc_cannot_take_back_the_rest_of_what_a_final_has_confirmed_in_part() -> None:
    utterances, utterance = spoken(interim("אחת שתיים", 1, 3, rpc=EARLIER))
    assert utterances.tick(3.7) == [Final(utterance)]
    utterances.dispatch(final("אחת", 1, 2, rpc=EARLIER))

    assert utterances.dispatch(final("", 2, 3, rpc=LATER)) == []
    assert utterance.text == "אחת שתיים"
    assert asked(utterances) == [Unconfirmed(utterance)]


def test_an_rpc_of_another_session_cannot_take_it_back() -> None:
    utterances, utterance = promoted()
    utterances.session_opened()

    assert utterances.dispatch(final("", 0, 3)) == []
    assert utterance.text == "אחת"


def test_a_final_that_ends_before_the_utterance_does_takes_back_nothing_yet() -> None:
    utterances, utterance = promoted()

    assert utterances.dispatch(final("", 0, 2)) == []
    assert utterances.dispatch(final("", 2, 3)) == [Revision(utterance, "")]


def test_a_final_without_text_takes_back_the_end_of_a_sentence_whose_beginning_is_final() -> None:
    utterances, utterance = spoken(final("אחת", 1, 2), interim("שתיים", 2, 3))
    assert utterances.tick(3.7) == [Final(utterance)]
    assert utterance.text == "אחת שתיים"

    assert utterances.dispatch(final("", 2, 3)) == [Revision(utterance, "אחת")]


def test_a_final_without_text_across_several_utterances_takes_back_all_of_them() -> None:
    utterances, first = promoted()
    second = begin(utterances, 5)
    utterances.dispatch(interim("אחת שתיים", 0, 6))
    fall_silent(utterances, 6)
    assert utterances.tick(6.7) == [Final(second)]

    assert utterances.dispatch(final("", 0, 6)) == [Revision(first, ""), Revision(second, "")]


def test_a_final_with_words_for_the_next_utterance_alone_takes_back_the_first_ones() -> None:
    """Its word times say that nothing was said in the first: the words were the second one's, or nobody's."""
    utterances, first = promoted()
    second = begin(utterances, 5)
    utterances.dispatch(interim("אחת שתיים", 0, 6))
    fall_silent(utterances, 6)
    assert utterances.tick(6.7) == [Final(second)]

    outcomes = utterances.dispatch(final("אחת שתיים", 0, 6, at=(5.1, 5.5)))

    assert outcomes == [Revision(second, "אחת שתיים"), Revision(first, "")]


def test_what_another_recognizer_made_out_is_not_taken_back() -> None:
    for answer in ("אחת", "אחת ועוד"):
        utterances, utterance = promoted()
        assert asked(utterances) == [Unconfirmed(utterance)]
        utterances.settle(utterance, answer, Source.SINGLE)

        assert utterances.dispatch(final("", 0, 3)) == []
        assert utterance.text == answer


def test_words_that_another_recognizer_makes_out_stand_where_the_stream_took_its_own_back() -> None:
    utterances, utterance = promoted()
    assert asked(utterances) == [Unconfirmed(utterance)]
    assert utterances.dispatch(final("", 0, 3)) == [Revision(utterance, "")]

    assert utterances.settle(utterance, "שתיים", Source.SINGLE) == [Revision(utterance, "שתיים")]


# -- what another recognizer does not make out ---------------------------------------------------------------------


def test_a_check_that_makes_out_nothing_only_marks_the_text() -> None:
    utterances, utterance = promoted()
    assert asked(utterances) == [Unconfirmed(utterance)]

    assert utterances.settle(utterance, "", Source.NONE) == [Revision(utterance, "אחת")]
    assert (utterance.text, utterance.unconfirmed) == ("אחת", True)
    assert utterances.settle(utterance, "", Source.NONE) == []


@pytest.mark.parametrize("said", ["אחת", "אחת שתיים"])
def test_a_final_lifts_the_mark_whether_its_words_are_the_same_or_not(said: str) -> None:
    utterances, utterance = promoted()
    asked(utterances)
    utterances.settle(utterance, "", Source.NONE)

    assert utterances.dispatch(final(said, 1, 3)) == [Revision(utterance, said)]
    assert not utterance.unconfirmed


def test_an_interim_that_stopped_short_and_that_a_check_did_not_make_out_goes_out_with_the_mark() -> None:
    for checked in (True, False):
        utterances, utterance = spoken(interim("אחת", 1, 2))
        assert utterances.tick(4.5) == [Missed(utterance)]

        assert utterances.fall_back(utterance, checked=checked) == [Final(utterance)]
        assert (utterance.text, utterance.source, utterance.unconfirmed) == ("אחת", Source.INTERIM, checked)


# -- text without speech ---------------------------------------------------------------------------------------------


def test_text_for_audio_without_speech_is_an_utterance_without_a_voice() -> None:
    utterances, utterance = promoted()
    outcomes = utterances.dispatch(final("הד", 3, 20, at=(10.0,)))

    unvoiced = outcomes[0].utterance
    assert (unvoiced.text, unvoiced.voiced) == ("הד", False)
    assert utterance.voiced


# -- what its finals leave out -----------------------------------------------------------------------------------


def cut_short() -> tuple[Utterances, Utterance]:
    """Closed at its deadline by a final that ends 0.3 s before the end of speech."""
    utterances, utterance = spoken(final("אחת", 0, 2.7))
    assert utterances.tick(3.7) == [Final(utterance)]
    assert utterance.source is Source.FINAL
    return utterances, utterance


def test_words_behind_what_its_finals_cover_are_added_by_another_recognizer() -> None:
    utterances, utterance = cut_short()
    assert utterances.cut_short(4 * 8000) == [utterance]

    assert utterances.settle(utterance, "אחת שתיים", Source.SINGLE) == [Revision(utterance, "אחת שתיים")]
    assert utterances.cut_short(4 * 8000) == []
    assert utterances.dispatch(final("שתיים", 2.7, 3)) == []


@pytest.mark.parametrize("text", ["", "אחת", "אחרת", "אחת-שתיים", "שתיים אחת"])
def test_what_its_finals_have_settled_stands(text: str) -> None:
    utterances, utterance = cut_short()

    assert utterances.settle(utterance, text, Source.SINGLE) == []
    assert (utterance.text, utterance.unconfirmed) == ("אחת", False)


def test_its_last_word_is_not_looked_for_after_some_seconds() -> None:
    utterances, _ = cut_short()

    assert utterances.cut_short(7 * 8000) == []
