"""Two texts say the same when they differ in what is not spoken."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.sameness import same, spoken

WORDS = st.text(st.sampled_from("אבגדהוזחטיכלמנסעפצקרשתםןץףך abcdeXYZ0123456789"), max_size=30)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("שלום", "שלום."),
        ("מה שלומך", "מה שלומך?"),
        ("כן, תודה", "כן תודה"),
        ("שָׁלוֹם", "שלום"),
        ("שׁלום", "שלום"),  # a letter and its dot in one character (presentation form)
        ("צ׳ק", "צ'ק"),
        ("צ׳ק", "צק"),
        ("צה״ל", 'צה"ל'),
        ("אי־אפשר", "אי אפשר"),
        ("תל-אביב", "תל אביב"),
        ("\u200fשלום\u200e", "שלום"),
        ("שלום\u00a0לך", "שלום לך"),
        ("one\ttwo\nthree", "one two three"),
        ("I don't", "I don’t"),
        ("Yes", "yes"),
        ("STRASSE", "straße"),
        ("ＡＢＣ１２", "abc12"),
        ("1,500 שקל", "1500 שקל"),
        ("1,234,567", "1234567"),
        ("ב-3.5 ק״מ", "ב 3.5 קמ"),
        ("...", ""),
        ("", "  "),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("כן", "לא"),
        ("מחר", "מחר בבוקר"),
        ("אני רוצה", "רוצה אני"),
        ("3.5", "35"),
        ("3,5", "35"),
        ("14:30", "1430"),
        ("1,50", "150"),
        ("100₪", "100%"),
        ("שם", "שמ"),  # a final letter ends a word: the other is the beginning of one
        ("אי אפשר", "איאפשר"),
        ("", "כן"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert not same(one, other)
    assert not same(other, one)


@given(st.text(max_size=60))
def test_it_is_compared_as_it_is_however_often(text: str) -> None:
    once = spoken(text)

    assert spoken(once) == once
    assert same(text, once)


@given(WORDS, st.sampled_from([".", "?", " …", "\u200f", "׳", "ּ", "  "]), st.integers(0, 30))
def test_what_is_not_spoken_changes_nothing_at_the_end_of_a_word(text: str, sign: str, place: int) -> None:
    words = text.split()
    words[place % len(words) if words else 0 :][:0] = []
    signed = " ".join(
        word + sign if number == place % max(len(words), 1) else word for number, word in enumerate(words)
    )

    assert same(text, signed)


@given(st.text(max_size=60), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_form_of_unicode_changes_nothing(text: str, form: str) -> None:
    assert same(text, unicodedata.normalize(form, text))  # type: ignore[arg-type]
