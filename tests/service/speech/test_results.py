from batkol.speech.results import Word

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
