from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.attribution import REACH, Share, divide
from batkol.speech.results import Transcript, Word
from batkol.speech.utterance import Mode, Utterance
from support.properties import few_by_day

SECOND = 8000


def uttered(begin_s: float, end_s: float | None, *, interim: str = "", interim_end_s: float | None = None) -> Utterance:
    """An utterance with 300 ms of pre-roll; its interim reaches its end unless told otherwise."""
    utterance = Utterance(
        index=0,
        begin=int(begin_s * SECOND) - 2400,
        speech_at=int(begin_s * SECOND),
        mode=Mode.STREAMING,
        end=None if end_s is None else int(end_s * SECOND),
    )
    reached = end_s if interim_end_s is None else interim_end_s
    utterance.interim, utterance.interim_end = interim, int((reached or 0) * SECOND)
    return utterance


def interim(text: str, start_s: float, end_s: float) -> Transcript:
    return Transcript(text, int(start_s * SECOND), int(end_s * SECOND), final=False)


def final(start_s: float, end_s: float, *words: tuple[str, float, float]) -> Transcript:
    timed = tuple(Word(text, int(start * SECOND), int(end * SECOND)) for text, start, end in words)
    text = " ".join(word.text for word in timed)
    return Transcript(text, int(start_s * SECOND), int(end_s * SECOND), final=True, words=timed)


def texts(shares: list[Share]) -> list[tuple[Utterance | None, str]]:
    return [(share.utterance, share.text) for share in shares]


FIRST, SECOND_ONE = uttered(1, 3, interim="אחת שתיים"), uttered(5, None)
BOTH = [FIRST, SECOND_ONE]


def test_the_border_is_half_way_through_the_silence() -> None:
    """From 3 s to 5 s nobody speaks: 4 s is where the second one's words begin."""
    (before,) = divide(final(0, 6, ("כן", 3.85, 4.14)), BOTH)
    (behind,) = divide(final(0, 6, ("כן", 3.86, 4.16)), BOTH)

    assert before.utterance is FIRST
    assert behind.utterance is SECOND_ONE


def test_speech_a_second_and_a_half_from_any_utterance_is_nobodys() -> None:
    far = [uttered(1, 3), uttered(60, None)]

    assert divide(final(0, 9, ("כן", 4.4, 4.6)), far)[0].utterance is far[0]
    assert divide(final(0, 9, ("כן", 4.5, 4.7)), far)[0].utterance is None
    assert divide(final(0, 59, ("כן", 58.1, 58.3)), far)[0].utterance is far[1]
    assert divide(final(0, 59, ("כן", 57.9, 58.1)), far)[0].utterance is None, "1.5 s before its pre-roll"
    assert divide(final(0, 40, ("כן", 39, 40)), far)[0].utterance is None, "nearer to the next one, but far from it"
    assert divide(final(0, 9, ("כן", 4, 5)), [])[0].utterance is None
    assert REACH == 12_000


def test_a_final_that_spans_two_utterances_is_split_by_word_times() -> None:
    heard = final(0, 7, ("אחת", 1, 1.5), ("שתיים", 2, 2.9), ("שלוש", 5, 5.5), ("ארבע", 6, 6.5))

    assert texts(divide(heard, BOTH)) == [(FIRST, "אחת שתיים"), (SECOND_ONE, "שלוש ארבע")]


def test_a_final_that_goes_on_has_settled_the_first_to_its_end_of_speech() -> None:
    """Its last word ends long before the VAD heard silence; the recognizer has had all that audio."""
    shares = divide(final(0, 7, ("אחת", 1, 1.5), ("שלוש", 5, 5.5)), BOTH)

    assert [share.end for share in shares] == [3 * SECOND, 7 * SECOND]


def test_a_final_settles_no_more_than_its_own_audio() -> None:
    (share,) = divide(final(0, 2, ("אחת", 1, 1.5)), [FIRST])

    assert (share.start, share.end) == (SECOND, 2 * SECOND)


def test_speech_the_vad_did_not_see_keeps_its_own_times() -> None:
    """Not the final's end, which may lie in the next utterance's speech."""
    (share,) = divide(final(0, 20, ("אחת", 9, 9.5)), [FIRST])

    assert share == Share(None, "אחת", 9 * SECOND, int(9.5 * SECOND))


def test_an_interim_that_spans_two_is_split_by_the_words_known_before() -> None:
    assert texts(divide(interim("אחת שתיים שלוש", 0, 6), BOTH)) == [(FIRST, "אחת שתיים"), (SECOND_ONE, "שלוש")]
    assert texts(divide(interim("אחת שתיים", 0, 5.1), BOTH)) == [(FIRST, "אחת שתיים")]
    assert texts(divide(interim("אחת", 0, 2), BOTH)) == [(FIRST, "אחת")]
    assert texts(divide(interim("שלוש", 3, 6), BOTH)) == [(SECOND_ONE, "שלוש")]


def test_the_share_of_an_utterance_whose_interim_stopped_short_stops_there_too() -> None:
    """Only the start of it was known when the next began: a count is no proof that it ended there."""
    short = uttered(1, 3, interim="אחת", interim_end_s=1.6)
    shares = divide(interim("אחת שתיים שלוש", 0, 6), [short, SECOND_ONE])

    assert texts(shares) == [(short, "אחת"), (SECOND_ONE, "שתיים שלוש")]
    assert [share.end for share in shares] == [int(1.6 * SECOND), 6 * SECOND]


def test_a_final_without_word_times_is_split_like_an_interim() -> None:
    heard = Transcript("אחת שתיים שלוש", 0, 6 * SECOND, final=True)

    assert texts(divide(heard, BOTH)) == [(FIRST, "אחת שתיים"), (SECOND_ONE, "שלוש")]


def test_what_is_settled_takes_no_more_words() -> None:
    settled = uttered(1, 3)
    settled.covered = int(2.9 * SECOND)

    assert texts(divide(interim("שלוש", 2.9, 6), [settled, SECOND_ONE])) == [(SECOND_ONE, "שלוש")]
    assert texts(divide(interim("שלוש", 2.9, 40), [settled])) == [(None, "שלוש")], "far behind it"


def test_a_last_word_after_an_early_final_is_still_its_own() -> None:
    """The final ended 200 ms before the VAD's end of speech, and an interim tells of one word more."""
    early = uttered(1, 3, interim="שתיים")
    early.covered = int(2.8 * SECOND)

    assert texts(divide(interim("שתיים שלוש", 2.8, 6), [early, SECOND_ONE])) == [
        (early, "שתיים"),
        (SECOND_ONE, "שלוש"),
    ]


def test_a_final_without_a_word_still_says_how_far_it_is_settled() -> None:
    heard = Transcript("", SECOND, 3 * SECOND, final=True)

    assert divide(heard, [FIRST]) == [Share(FIRST, "", SECOND, 3 * SECOND)]


def test_a_short_word_after_a_pause_belongs_to_the_sentence_that_it_begins() -> None:
    """It starts where the word before it ended, and its middle lies in the first half of the silence."""
    heard = final(0, 6, ("אחת", 1, 3), ("לא", 3, 5.2))

    assert texts(divide(heard, BOTH)) == [(FIRST, "אחת"), (SECOND_ONE, "לא")]


def test_what_the_vad_did_not_see_begins_no_more_than_a_second_before_its_first_word_ends() -> None:
    """However long the pause that the word's time includes."""
    (share,) = divide(final(0, 20, ("אחת", 3, 9.5)), [FIRST])

    assert share == Share(None, "אחת", int(8.5 * SECOND), int(9.5 * SECOND))


def test_a_result_without_text_is_told_to_every_utterance_it_reaches() -> None:
    nothing = Transcript("", 0, 6 * SECOND, final=True)

    assert divide(nothing, BOTH) == [
        Share(FIRST, "", 0, 3 * SECOND),
        Share(SECOND_ONE, "", 0, 6 * SECOND),
    ]


class Looked(list[Utterance]):
    """Counts how often one of its utterances is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        self.looks += 1
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[Utterance]:
        for utterance in super().__iter__():
            self.looks += 1
            yield utterance


@pytest.mark.parametrize("count", [10, 10_000])
def test_each_utterance_is_looked_at_once_however_many_words_there_are(count: int) -> None:
    known = Looked(uttered(2 * number + 1, 2 * number + 2) for number in range(8))
    words = [(f"w{number}", at := number * 16 / count, at) for number in range(count)]

    shares = divide(final(0, 17, *words), known)

    assert " ".join(share.text for share in shares).split() == [text for text, _, _ in words]
    assert known.looks == len(known)


silences = st.integers(4800, 40_000)
lengths = st.integers(800, 40_000)
names = st.integers(0, 5)


@st.composite
def utterances(draw: st.DrawFn) -> list[Utterance]:
    """Some utterances in order of time, the last perhaps still being spoken, some with an interim, some settled."""
    made: list[Utterance] = []
    at = 0
    for silence, length, known in draw(st.lists(st.tuples(silences, lengths, names), max_size=5)):
        speech_at, at = at + silence, at + silence + length
        utterance = Utterance(len(made), speech_at - 2400, speech_at, Mode.STREAMING, end=at)
        utterance.interim = " ".join("x" * known)
        utterance.interim_end = utterance.covered = speech_at + draw(st.integers(0, length))
        made.append(utterance)
    speaking = draw(st.booleans())
    if made and speaking:
        made[-1].end = None
    return made


@st.composite
def results(draw: st.DrawFn) -> Transcript:
    start = at = draw(st.integers(0, 100_000))
    words = []
    for n, (silence, length) in enumerate(draw(st.lists(st.tuples(st.integers(0, 20_000), lengths), max_size=8))):
        words.append(Word(f"w{n}", at + silence, at + silence + length))
        at = words[-1].end
    heard, timed = draw(st.booleans()), draw(st.booleans())
    text = " ".join(word.text for word in words)
    return Transcript(text, start, at + 800, final=heard, words=tuple(words) if heard and timed else ())


@few_by_day(30)
@given(results(), utterances())
def test_every_word_goes_to_exactly_one_share_in_order(heard: Transcript, known: list[Utterance]) -> None:
    shares = divide(heard, known)

    assert " ".join(share.text for share in shares if share.text) == heard.text
    owners = [known.index(share.utterance) for share in shares if share.utterance is not None]
    assert owners == sorted(owners)
    assert len(set(owners)) == len(owners)


@few_by_day(30)
@given(results(), utterances())
def test_a_timed_word_belongs_where_it_was_spoken(heard: Transcript, known: list[Utterance]) -> None:
    """Inside an utterance's speech it is that one's, whatever else is there."""
    for word in heard.words:
        middle = word.place
        (share,) = divide(Transcript(word.text, word.start, word.end, final=True, words=(word,)), known)
        for utterance in known:
            if utterance.speech_at <= middle and (utterance.end is None or middle <= utterance.end):
                assert share.utterance is utterance


def test_an_interim_with_word_times_is_split_by_them_and_not_by_what_the_newest_one_had() -> None:
    """Counted off, its second word would be the first utterance's: its newest interim had two."""
    words = (Word("אחת", 1 * SECOND, 2 * SECOND), Word("שלוש", 5 * SECOND, 6 * SECOND))
    heard = Transcript("אחת שלוש", SECOND, 7 * SECOND, final=False, words=words)

    assert texts(divide(heard, BOTH)) == [(FIRST, "אחת"), (SECOND_ONE, "שלוש")]
