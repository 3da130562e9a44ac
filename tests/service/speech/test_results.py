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


def test_a_portion_lies_within_what_was_sent_whatever_its_times_are() -> None:
    before = Portion(text="לא", end=-800, final=True, words=(Word("לא", -2400, -800),))
    behind = Portion(text="לא", end=10**30, final=True, words=(Word("לא", 10**30, 800),))

    assert before.within(1600) == Portion(text="לא", end=0, final=True, words=(Word("לא", 0, 0),))
    assert behind.within(1600) == Portion(text="לא", end=1600, final=True, words=(Word("לא", 800, 800),))
