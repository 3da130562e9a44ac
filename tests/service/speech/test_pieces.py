"""An answer is cut where a person would breathe, the first time early, and says the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.piece_ends import is_bare_prefix
from batkol.speech.pieces import Cutter
from batkol.speech.sameness import spoken
from support.properties import few_by_day


def cut(text: str, *, first_words: int = 4, longest: int = 200) -> list[str]:
    cutter = Cutter(first_words, longest)
    return cutter.append(text) + cutter.flush()


def letter_by_letter(text: str, *, first_words: int = 4, longest: int = 200) -> list[str]:
    cutter = Cutter(first_words, longest)
    return [piece for letter in text for piece in cutter.append(letter)] + cutter.flush()


def test_sentences_are_pieces() -> None:
    assert cut("מה שלומך היום? אני בסדר גמור. נתראה!") == ["מה שלומך היום?", "אני בסדר גמור.", "נתראה!"]


def test_the_first_piece_ends_with_the_first_clause() -> None:
    assert cut("כן בטח, יש תור מחר בבוקר, וגם מחרתיים בערב.") == ["כן בטח,", "יש תור מחר בבוקר, וגם מחרתיים בערב."]


def test_the_first_piece_is_there_with_the_white_space_after_its_fourth_word() -> None:
    cutter = Cutter()

    assert cutter.append("אפשר לקבוע תור מחר") == []
    assert cutter.append(" ") == ["אפשר לקבוע תור מחר"]
    assert cutter.append("בשעה שמונה בבוקר אצל הרופא") == []
    assert cutter.flush() == ["בשעה שמונה בבוקר אצל הרופא"]


def test_a_sentence_is_there_with_the_white_space_after_it() -> None:
    cutter = Cutter()
    cutter.append("אפשר לקבוע תור מחר ")

    assert cutter.append("בשמונה.") == []
    assert cutter.append("\n") == ["בשמונה."]


def test_after_a_first_piece_of_one_word_the_next_is_as_early() -> None:
    assert cut("כן, אפשר לקבוע תור מחר בבוקר או בערב, או מחר.") == [
        "כן,",
        "אפשר לקבוע תור מחר",
        "בבוקר או בערב, או מחר.",
    ]


def test_the_first_piece_ends_before_words_that_lean_on_the_next() -> None:
    assert cut("אני רוצה לדבר על המחיר.") == ["אני רוצה לדבר", "על המחיר."]
    assert cut('יש תור אצל ד"ר כהן.') == ["יש תור", 'אצל ד"ר כהן.']
    assert cut("זה יעלה לך 150 שקלים.") == ["זה יעלה לך", "150 שקלים."]
    assert cut("של על את עם כולם יחד.") == ["של על את עם כולם", "יחד."]  # none of the four can end it
    assert cut("תודה של על את כולם.") == ["תודה של על את כולם."]  # one word of four is too few


def test_a_number_in_groups_is_not_cut() -> None:
    assert cut("המספר הוא 054 123 45 67 תודה") == ["המספר הוא", "054 123 45 67 תודה"]


@pytest.mark.parametrize(
    "whole",
    [
        'ד"ר לוי', 'חברת כהן בע"מ מתל אביב', 'זה עולה 3.5 ש"ח', "רח' הרצל", "ת.ז. שלך", "ת.ד. 17", "פרופ. לוי",
        "בשעה 14:30 בדיוק", "זה 1,500 שקל", "כתוב אל a.b-c@d.co.il היום", "באתר www.example.co.il/a.b, כן",
        "אברהם יצחק וגו' וכולי", "ב-3.11.2026 בבוקר", "J. Smith", "לדוגמה e.g. זה",
    ],
)  # fmt: skip
def test_what_looks_like_an_end_is_none(whole: str) -> None:
    text = f"זה הסוף של המשפט. {whole} נכון. סוף."

    assert cut(text) == letter_by_letter(text)
    assert cut(text)[-2:] == [f"{whole} נכון.", "סוף."]


def test_an_ellipsis_is_whole() -> None:
    assert cut("זה הסוף של זה. רגע... אני בודק. מה . . . טוב. כן…") == [
        "זה הסוף של זה.", "רגע...", "אני בודק.", "מה . . . טוב.", "כן…",
    ]  # fmt: skip


def test_a_piece_does_not_end_with_a_bare_prefix() -> None:
    assert cut("אז יש לנו ב ירושלים תור.") == ["אז יש לנו", "ב ירושלים תור."]
    assert cut("זה הסוף של זה. ו...\nאז מה.") == ["זה הסוף של זה.", "ו... אז מה."]


def test_marks_and_bullets_are_not_spoken() -> None:
    answer = "## תורים\n\n- **מחר** ב-`8:00` 👋\n- *מחרתיים*\n* גם\n1. אחת\n2. שתיים\n---\n> סוף 🎉"

    assert cut(answer) == ["תורים", "מחר ב-8:00", "מחרתיים", "גם", "1. אחת", "2. שתיים", "סוף"]


def test_the_head_of_an_item_is_not_a_sentence() -> None:
    assert cut("זה הסוף של זה. 1. חלב 2. לחם. התור בשעה 5. להתראות.") == [
        "זה הסוף של זה.", "1. חלב 2. לחם.", "התור בשעה 5.", "להתראות.",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", " \n ", "👋", "*** --- ***", "…", "\u200f", "\x00"])
def test_an_answer_without_a_word_has_no_piece(text: str) -> None:
    assert cut(text) == []


def test_a_piece_has_at_most_so_many_characters() -> None:
    text = "מילה " * 100

    pieces = cut(text, longest=50)

    assert max(map(len, pieces)) == 49
    assert " ".join(pieces) == text.strip()


def test_a_piece_that_is_too_long_ends_with_a_clause() -> None:
    text = "זה הסוף של זה. אחת שתיים שלוש ארבע, חמש שש שבע שמונה תשע"

    assert cut(text, longest=40)[1:] == ["אחת שתיים שלוש ארבע,", "חמש שש שבע שמונה תשע"]


def test_a_clause_in_the_first_half_does_not_end_a_piece_that_is_too_long() -> None:
    text = "זה הסוף של זה. אחת, שתיים שלוש ארבע חמש שש שבע"

    assert cut(text, longest=30)[1:] == ["אחת, שתיים שלוש ארבע חמש שש", "שבע"]


def test_a_word_without_an_end_is_cut_at_the_limit() -> None:
    cutter = Cutter(longest=10)

    pieces = cutter.append("א" * 25)

    assert pieces == ["א" * 10]  # the next ten are not at their end yet
    assert cutter.flush() == ["א" * 10, "א" * 5]


def test_a_cutter_is_as_new_after_its_end() -> None:
    cutter = Cutter()
    cutter.append("אפשר לקבוע תור מחר בבוקר. כן. 1. ")
    cutter.flush()

    assert cutter.append("אפשר לקבוע תור מחר בבוקר") == ["אפשר לקבוע תור מחר"]


@pytest.mark.parametrize("wrong", [{"first_words": 0}, {"longest": 0}])
def test_limits_that_cannot_be_kept_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Cutter(**wrong)


WORDS = st.sampled_from([
    "שלום", "מחר", "תור", "ו", "ב", "ב-", "של", 'ד"ר', "רח'", "ת.ז.", "פרופ.", "3.5", "14:30", "1,500", "054", "5",
    "5.", "1.", "2.", "a.b@c.il", "www.x.co.il", "וגו'", "כן,", "לא.", "מה?", "רגע...", "…", "–", "-", ".", "!",
    '"כן."', "(לא)", "סוף:", "\u200fימין", "שָׁלוֹם",
])  # fmt: skip
GAPS = st.sampled_from([" ", " ", " ", " ", "\n", "  ", "\t", "\n\n", "\u00a0", "\r\n"])
ANSWERS = st.lists(st.tuples(WORDS, GAPS), max_size=40).map(lambda parts: "".join(word + gap for word, gap in parts))


@given(ANSWERS, st.integers(1, 6), st.integers(12, 60), st.randoms(use_true_random=False))
@few_by_day(50)
def test_whole_or_in_pieces_an_answer_is_cut_alike_and_says_the_same(
    text: str, first_words: int, longest: int, draw: random.Random
) -> None:
    pieces = cut(text, first_words=first_words, longest=longest)

    assert letter_by_letter(text, first_words=first_words, longest=longest) == pieces
    assert in_random_parts(text, draw, first_words=first_words, longest=longest) == pieces
    assert spoken(" ".join(pieces)) == spoken(text)
    assert all(spoken(piece) and piece == piece.strip() and len(piece) <= longest for piece in pieces)


def in_random_parts(text: str, draw: random.Random, *, first_words: int, longest: int) -> list[str]:
    cutter = Cutter(first_words, longest)
    pieces = []
    while text:
        size = draw.randint(1, 9)
        pieces += cutter.append(text[:size])
        text = text[size:]
    return pieces + cutter.flush()


@given(ANSWERS)
@few_by_day(50)
def test_only_the_last_piece_may_end_with_a_bare_prefix(text: str) -> None:
    assert not any(is_bare_prefix(piece.split()[-1]) for piece in cut(text)[:-1])


@given(st.text(max_size=60), st.integers(1, 5), st.integers(1, 30))
@few_by_day(50)
def test_any_text_can_be_cut(text: str, first_words: int, longest: int) -> None:
    pieces = cut(text, first_words=first_words, longest=longest)

    assert letter_by_letter(text, first_words=first_words, longest=longest) == pieces
    assert all(0 < len(piece) <= longest for piece in pieces)


@given(ANSWERS)
@few_by_day(50)
def test_a_sentence_never_waits_for_the_next_one(text: str) -> None:
    """Whatever stood before: three plain words and a full stop are spoken at the white space behind them."""
    cutter = Cutter()
    cutter.append(text + "\n")

    pieces = cutter.append("הכול ברור עכשיו. ")

    assert pieces
    assert pieces[-1].endswith("עכשיו.")
    assert cutter.flush() == []
