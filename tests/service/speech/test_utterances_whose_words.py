"""Late results and results that span: whose words they are, in plain examples."""

from batkol.speech.outcomes import Final, Missed, Partial, Revision, Unplaced
from batkol.speech.utterance import Source, UtteranceState
from batkol.speech.utterances import Utterances, UtteranceTimeouts
from support.speech.sentences import SECOND, begin, fall_silent, final, interim, spoken


def test_a_late_final_revises_its_own_utterance_and_not_the_next() -> None:
    utterances, first = spoken(interim("שלום", 0, 2.9))
    utterances.tick(3.71)
    second = begin(utterances, 4)

    assert utterances.dispatch(final("שלום לך", 0, 3.2)) == [Revision(first, "שלום לך")]
    assert first.text == "שלום לך"
    assert second.newest == ""


def test_a_late_final_that_says_the_same_says_nothing() -> None:
    utterances, _ = spoken(interim("שלום", 0, 2.9))
    utterances.tick(3.71)

    assert utterances.dispatch(final("שלום", 0, 3.2)) == []


def test_a_last_word_after_the_final_that_seemed_to_cover_it_is_not_lost() -> None:
    utterances, first = spoken(final("אני בא", 0, 2.8))

    assert utterances.dispatch(final("מחר", 2.8, 3.1, at=(2.8,))) == [Revision(first, "אני בא מחר")]


def test_a_late_final_gives_words_to_an_utterance_nobody_could_make_out() -> None:
    utterances, first = spoken()
    utterances.tick(4.51)
    utterances.settle(first, "", Source.NONE)

    assert utterances.dispatch(final("שלום", 0, 3)) == [Revision(first, "שלום")]


def test_an_answer_from_elsewhere_is_not_revised_by_the_stream() -> None:
    utterances, first = spoken()
    utterances.settle(first, "שלום לך", Source.SINGLE)

    assert utterances.dispatch(final("שלום", 0, 3)) == []
    assert first.text == "שלום לך"


def test_a_final_that_spans_two_utterances_is_split_by_word_times() -> None:
    utterances, first = spoken()
    second = begin(utterances, 4)
    fall_silent(utterances, 6)

    assert utterances.dispatch(final("שלום אני רוצה", 0, 6.1, at=(1.5, 4.1, 5))) == [Final(first), Final(second)]
    assert (first.text, second.text) == ("שלום", "אני רוצה")


def test_an_interim_that_spans_two_is_split_and_closes_the_first_if_that_is_late() -> None:
    utterances, first = spoken(interim("שלום", 0, 2.9))
    second = begin(utterances, 4)

    assert utterances.dispatch(interim("שלום אני", 0, 4.5)) == [
        Partial(first, "שלום", int(4.5 * SECOND), 0.9),
        Partial(second, "אני", int(4.5 * SECOND), 0.9),
    ]
    assert utterances.tick(3.71) == [Final(first)]


def test_the_first_is_not_closed_by_a_spanning_interim_if_only_its_start_was_known() -> None:
    utterances, first = spoken(interim("שלום", 0, 1.5))
    utterances.tick(3.71)
    begin(utterances, 4)
    utterances.dispatch(interim("שלום לך אני", 0, 4.5))

    assert first.state is UtteranceState.CLOSING
    assert utterances.tick(4.51) == [Missed(first)]


def test_speech_the_vad_did_not_see_becomes_an_utterance_of_its_own() -> None:
    utterances = Utterances(UtteranceTimeouts())
    assert utterances.dispatch(interim("שלום", 0, 20)) == []
    outcomes = utterances.dispatch(final("שלום", 0, 20, at=(19,)))

    unseen = outcomes[0].utterance
    assert outcomes == [Unplaced(unseen), Final(unseen)]
    assert (unseen.text, unseen.begin, unseen.end) == ("שלום", 19 * SECOND, int(19.2 * SECOND))
    assert utterances.dispatch(final("לך", 20, 21, at=(20.2,))) == [Revision(unseen, "שלום לך")]


def test_speech_the_vad_did_not_see_does_not_land_in_the_sentence_being_spoken() -> None:
    utterances, first = spoken(final("שלום", 0, 3))
    second = begin(utterances, 60)
    outcomes = utterances.dispatch(final("הלו אני", 3, 61, at=(30, 60.5)))

    unseen = outcomes[0].utterance
    assert outcomes == [Unplaced(unseen), Final(unseen), Partial(second, "אני", 61 * SECOND, 0.0)]
    assert unseen.text == "הלו"
    assert utterances.speaking is second
    utterances.dispatch(final("כאן", 61, 62, at=(61.5,)))
    assert fall_silent(utterances, 62) == [Final(second)]
    assert (first.text, second.text) == ("שלום", "אני כאן")


def test_the_neighbours_of_an_utterance_are_those_in_time() -> None:
    """Whoever asks elsewhere sends no neighbour's speech along; one that was placed late counts where it was spoken."""
    utterances, first = spoken(final("שלום", 0, 3))
    second = begin(utterances, 60)
    assert utterances.surroundings(first) == (0, second.begin)
    assert utterances.surroundings(second) == (3 * SECOND, None)
    utterances.dispatch(final("הלו", 3, 31, at=(30,)))

    assert utterances.surroundings(first) == (0, 30 * SECOND)
    assert utterances.surroundings(second) == (int(30.2 * SECOND), None)


class OneCurrentUtterance:
    """The first sketch: whatever is final belongs to `_current_utt`, and its text is read when it ends."""

    def __init__(self) -> None:
        self._finals: list[str] = []

    def begin(self) -> None:
        self._finals.clear()

    def hear(self, text: str) -> None:
        self._finals.append(text)

    def utterance_end(self) -> str:
        return " ".join(self._finals)


def test_trap_one_current_utterance_gets_the_late_final_of_the_sentence_before() -> None:
    naive = OneCurrentUtterance()
    utterances, first = spoken()
    naive.begin()
    second = begin(utterances, 4)
    for heard in (final("שלום", 0, 3.1), final("אני", 3.1, 6.1, at=(5,))):
        naive.hear(heard.text)
        utterances.dispatch(heard)
    fall_silent(utterances, 6)

    assert naive.utterance_end() == "שלום אני", "the answer to the first sentence is in the second"
    assert (first.text, second.text) == ("שלום", "אני")


def test_trap_reading_the_finals_at_the_end_of_speech_reads_them_before_they_are_there() -> None:
    """Google's finals come about a second after the words (p50 878 ms); silence is known after half of that."""
    naive = OneCurrentUtterance()
    utterances, first = spoken()
    at_the_end_of_speech = naive.utterance_end()
    assert first.state is UtteranceState.CLOSING
    naive.hear("שלום")

    assert at_the_end_of_speech == ""
    assert utterances.dispatch(final("שלום", 0, 3.1)) == [Final(first)]
    assert first.text == "שלום"


def missed() -> Utterances:
    """A sentence from 1 s to 3 s that the stream has missed, while the caller has begun the next one at 4 s."""
    utterances, first = spoken()
    begin(utterances, 4)
    assert utterances.tick(4.6) == [Missed(first)]
    return utterances


def test_words_that_another_recognizer_has_told_are_counted_off_without_word_times() -> None:
    utterances = missed()
    first, second = utterances.unsettled
    utterances.settle(first, "אני רוצה", Source.SINGLE)

    assert utterances.dispatch(interim("אני רוצה פגישה", 0, 5)) == [Partial(second, "פגישה", 5 * SECOND, 0.9)]
    fall_silent(utterances, 6)
    assert utterances.dispatch(final("אני רוצה פגישה מחר", 0, 6)) == [Final(second)]
    assert (first.text, second.text) == ("אני רוצה", "פגישה מחר")


def test_they_are_counted_off_once_though_two_finals_end_at_the_same_guess() -> None:
    """A stream that opened late answers for each sentence apart, and dates both by the audio that it was sent."""
    utterances = missed()
    first, second = utterances.unsettled
    utterances.settle(first, "אני רוצה", Source.SINGLE)

    assert utterances.dispatch(final("אני רוצה", 0, 5)) == []
    fall_silent(utterances, 6)
    assert utterances.dispatch(final("פגישה מחר", 0, 6)) == [Final(second)]
    assert second.text == "פגישה מחר"


def test_a_stream_that_began_in_the_midst_of_them_has_only_the_last_ones() -> None:
    utterances = missed()
    first, second = utterances.unsettled
    utterances.settle(first, "כן אני רוצה", Source.SINGLE)
    fall_silent(utterances, 6)

    assert utterances.dispatch(final("רוצה פגישה מחר", 2.3, 6)) == [Final(second)]
    assert second.text == "פגישה מחר"


def test_words_of_an_answer_still_to_come_are_taken_out_of_the_next_utterance_when_it_comes() -> None:
    utterances = missed()
    first, second = utterances.unsettled
    assert utterances.dispatch(interim("אני רוצה פגישה", 0, 5)) == [Partial(second, "אני רוצה פגישה", 5 * SECOND, 0.9)]

    outcomes = utterances.settle(first, "אני רוצה", Source.SINGLE)

    assert outcomes == [Final(first), Partial(second, "פגישה", 5 * SECOND, 0.0)]
    fall_silent(utterances, 6)
    assert utterances.dispatch(final("אני רוצה פגישה מחר", 0, 6)) == [Final(second)]
    assert second.text == "פגישה מחר"


def test_a_final_that_may_have_them_waits_for_the_answer_and_they_are_counted_off_once() -> None:
    utterances = missed()
    first, second = utterances.unsettled
    fall_silent(utterances, 6)
    assert utterances.dispatch(final("אני רוצה פגישה", 0, 6)) == [Partial(second, "אני רוצה פגישה", 6 * SECOND, 0.0)]
    assert utterances.tick(6.8) == []

    outcomes = utterances.settle(first, "אני רוצה", Source.SINGLE)

    assert outcomes == [Final(first), Final(second)]
    assert second.text == "פגישה"
    assert utterances.dispatch(final("מחר", 0, 6.2)) == [Revision(second, "פגישה מחר")]


def test_two_answers_may_come_in_any_order() -> None:
    utterances = missed()
    first, second = utterances.unsettled
    fall_silent(utterances, 6)
    third = begin(utterances, 7)
    assert Missed(second) in utterances.tick(7.6)
    fall_silent(utterances, 9)
    utterances.dispatch(final("אני רוצה פגישה מחר בבוקר", 0, 9))

    assert Final(third) not in utterances.settle(second, "פגישה מחר", Source.SINGLE)
    assert third.newest == "אני רוצה בבוקר"
    assert Final(third) in utterances.settle(first, "אני רוצה", Source.SINGLE)
    assert third.text == "בבוקר"


def test_without_an_answer_the_words_stay_where_they_are_and_wait_no_longer() -> None:
    utterances = missed()
    first, second = utterances.unsettled
    fall_silent(utterances, 6)
    utterances.dispatch(final("אני רוצה פגישה", 0, 6))

    assert utterances.settle(first, "", Source.NONE) == [Final(first), Final(second)]
    assert second.text == "אני רוצה פגישה"


def test_an_answer_that_comes_late_takes_its_words_out_of_a_record() -> None:
    """No recognizer could be reached at first."""
    utterances = missed()
    first, second = utterances.unsettled
    fall_silent(utterances, 6)
    utterances.dispatch(final("אני רוצה פגישה", 0, 6))
    first.unheard = True
    utterances.settle(first, "", Source.NONE)

    outcomes = utterances.settle(first, "אני רוצה", Source.SINGLE)

    assert outcomes == [Revision(first, "אני רוצה"), Revision(second, "פגישה")]


def test_words_that_the_caller_said_again_stay_where_the_stream_did_not_hear_the_first_ones() -> None:
    """It began in the last moment of the sentence that the other recognizer is still to tell."""
    utterances = missed()
    first, second = utterances.unsettled
    fall_silent(utterances, 6)
    utterances.dispatch(final("כן מחר", 2.9, 6))

    assert utterances.settle(first, "כן", Source.SINGLE) == [Final(first)]
    assert second.text == "כן מחר"


def test_a_stream_that_opens_in_mid_utterance_is_not_sent_all_words_of_the_interim_before_it() -> None:
    """The replay limit: the first words are further back than audio is sent again."""
    utterances, first = spoken(interim("אני רוצה לקבוע תור", 0, 2.9))
    utterances.tick(3.71)
    second = begin(utterances, 4)
    fall_silent(utterances, 6)
    utterances.drop_stream(first)
    utterances.dispatch(final("תור מחר בבוקר", 2.5, 6.1, rpc=1))

    assert (first.text, second.text) == ("אני רוצה לקבוע תור", "מחר בבוקר")


def test_words_that_an_interim_of_the_same_stream_had_are_counted_however_they_change() -> None:
    utterances, first = spoken(interim("לקבוע תור", 1.8, 2.9, rpc=1))
    second = begin(utterances, 4)
    fall_silent(utterances, 6)
    utterances.dispatch(final("לקבל דור מחר", 1.8, 6.1, rpc=1))

    assert (first.newest, second.newest) == ("לקבל דור", "מחר")


def test_an_answer_takes_its_words_out_of_the_next_utterance_when_a_third_one_has_begun_meanwhile() -> None:
    utterances, first = spoken()
    second = begin(utterances, 4)
    fall_silent(utterances, 6)
    assert utterances.dispatch(interim("שלום לך אני רוצה", 0, 6, rpc=1)) == [
        Partial(second, "שלום לך אני רוצה", 6 * SECOND, 0.9)
    ]
    third = begin(utterances, 8)
    fall_silent(utterances, 9)
    utterances.dispatch(final("שלום לך אני רוצה תור", 0, 9.5, rpc=1))
    utterances.tick(9.6)
    assert second.state is UtteranceState.CLOSING, "the answer for the first may take words out of it"
    utterances.settle(first, "שלום לך", Source.SINGLE)
    utterances.tick(12)

    assert (first.text, second.newest, third.newest) == ("שלום לך", "אני רוצה", "תור")
