"""Where a voice may breathe: by the last word of what it says."""

from __future__ import annotations

import pytest

from batkol.speech.piece_ends import ends_clause, ends_sentence, is_bare_prefix, leans_on_next


@pytest.mark.parametrize(
    "word",
    ["מחר.", "מחר!", "מחר?", "מחר?!", "רגע...", "רגע…", 'מה?"', "(מחר.)", 'בע"מ.', "example.co.il.", "3.5.", "ב-5.",
     "טל.", "ממס.", "לֵךְ׃", "yes.", "ב?"],
)  # fmt: skip
def test_a_sentence_ends(word: str) -> None:
    assert ends_sentence(word)


@pytest.mark.parametrize(
    "word",
    ["מחר", "מחר,", 'ד"ר', 'בע"מ', 'ש"ח', "רח'", "ת.ז.", "בת.ז.", "ת.ד.", "פרופ.", "לפרופ.", "א.", "(א.", "e.g.", "Dr.",
     "3.5", "14:30", "1,500", "a.b@c.co.il", "www.example.com", "וגו'", "ו...", "ש.", "מה ."],
)  # fmt: skip
def test_a_sentence_does_not_end(word: str) -> None:
    assert not ends_sentence(word)


@pytest.mark.parametrize("word", ["שלום,", "למשל:", "כן;", "מחר –", "מחר—", '"מחר",'])
def test_a_clause_ends(word: str) -> None:
    assert ends_clause(word)


@pytest.mark.parametrize("word", ["שלום", "1,500", "14:30", "5,", "ו,", "תל-אביב", "רח'"])
def test_a_clause_does_not_end(word: str) -> None:
    assert not ends_clause(word)


@pytest.mark.parametrize(
    "word",
    ["ו", "ב-", "ל־", "ה", "כ…", 'ד"ר', "ד״ר", 'לד"ר', 'עו"ד', "רח'", "רח׳", "מר", "גב'", "מס'", "150", "ב-5",
     "של", "ושל", "שעל", "(את", "פרופ.", "The", "of"],
)  # fmt: skip
def test_a_word_leans_on_the_next(word: str) -> None:
    assert leans_on_next(word)


@pytest.mark.parametrize("word", ["שלום", "מחר,", "5%", "14:30.", "אני", "מרק", 'ש"ח', "לקוח"])
def test_a_word_stands_alone(word: str) -> None:
    assert not leans_on_next(word)


def test_a_prefix_without_its_word_is_bare() -> None:
    assert all(is_bare_prefix(word) for word in ("ו", "ב-", "(ה", "ש,", "ו..."))
    assert not any(is_bare_prefix(word) for word in ("א", "של", "5", "בא", ""))
