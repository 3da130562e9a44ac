import pytest

from batkol.speech.results import Portion, Word

MS = 8


def test_a_words_place_is_the_middle_of_its_last_300_ms() -> None:
    """It starts where the word before it ended: what came first was a pause."""
    word = Word("לא", 2000 * MS, 3200 * MS)

    assert word.onset == 2900 * MS
    assert word.place == 3050 * MS


def test_of_a_short_word_all_counts() -> None:
    word = Word("לא", 2000 * MS, 2200 * MS)

    assert (word.onset, word.place) == (2000 * MS, 2100 * MS)


def test_a_word_without_length_is_where_it_is() -> None:
    assert Word("לא", 2000 * MS, 2000 * MS).place == 2000 * MS


def _word(text: str, start: int, end: int) -> Word:
    return Word(text, start * MS, end * MS)


def _final(end: int, *words: Word) -> Portion:
    return Portion(text=" ".join(word.text for word in words), end=end * MS, final=True, words=words)


NOW = 2000
"""Milliseconds of audio that were sent."""
FIRST, SECOND, THIRD = _word("לא", 0, 500), _word("כן", 500, 900), _word("מה", 900, 1300)
FAR = 10**9


def test_a_portion_whose_times_can_be_stays_as_it_is() -> None:
    whole = _final(1300, FIRST, SECOND, THIRD)
    rounded = _final(1200, FIRST, _word("כן", 500, 460), THIRD)

    assert whole.within(NOW * MS) is whole
    assert [word.end for word in rounded.within(NOW * MS).words] == [500 * MS, 460 * MS, 1200 * MS]


def test_a_time_just_behind_what_was_sent_is_the_end_of_that() -> None:
    late = _final(NOW + 250, FIRST, _word("כן", 500, NOW + 250)).within(NOW * MS)

    assert late == _final(NOW, FIRST, _word("כן", 500, NOW))


@pytest.mark.parametrize("end", [-1, NOW + 251, FAR])
def test_an_end_that_cannot_be_is_the_end_of_the_last_word(end: int) -> None:
    mended = _final(end, FIRST, SECOND).within(NOW * MS)

    assert (mended.end, mended.words, mended.dated) == (900 * MS, (FIRST, SECOND), False)


def test_an_end_that_lies_before_all_its_words_cannot_be() -> None:
    mended = _final(100, SECOND, THIRD).within(NOW * MS)

    assert (mended.end, mended.words) == (1300 * MS, (SECOND, THIRD))


@pytest.mark.parametrize(
    ("time", "end"), [(-5000, 1300), (1600, 1300), (NOW + 251, 1300), (FAR, 1300), (-5000, FAR), (FAR, FAR)]
)
def test_a_word_whose_time_cannot_be_lies_between_its_neighbours(time: int, end: int) -> None:
    """Nor can a word end long after its portion."""
    mended = _final(end, FIRST, _word("כן", time, time), THIRD).within(NOW * MS)

    assert mended.words == (FIRST, SECOND, THIRD)
    assert mended.end == 1300 * MS


@pytest.mark.parametrize(("position", "end"), [(0, 0), (1, 900), (2, 1300)])
def test_a_word_without_a_time_lies_between_its_neighbours(position: int, end: int) -> None:
    """A time that Google leaves out is 0."""
    words = [FIRST, SECOND, THIRD]
    words[position] = Word(words[position].text, 0, 0)
    mended = list(_final(1300, *words).within(NOW * MS).words)

    assert mended.pop(position).end == end * MS
    assert mended == [word for number, word in enumerate([FIRST, SECOND, THIRD]) if number != position]


@pytest.mark.parametrize("time", [-5000, FAR])
def test_a_portion_without_a_time_that_can_be_has_no_word_times_and_its_end_is_a_guess(time: int) -> None:
    nowhere = _final(time, _word("לא", time, time)).within(NOW * MS)
    ended = _final(1300, _word("לא", time, time)).within(NOW * MS)

    assert (nowhere.text, nowhere.end, nowhere.guessed) == ("לא", NOW * MS, True)
    assert (ended.text, ended.end, ended.words, ended.guessed) == ("לא", 1300 * MS, (), False)


def test_a_word_whose_time_cannot_be_lies_behind_the_one_before_it_though_the_next_one_begins_earlier() -> None:
    portion = _final(1300, FIRST, _word("כן", 0, FAR), _word("מה", 100, 1300)).within(NOW * MS)

    assert [word.end for word in portion.words] == [500 * MS, 500 * MS, 1300 * MS]
