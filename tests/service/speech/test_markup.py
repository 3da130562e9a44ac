"""What is written for the eye is not spoken; what stands in an address stays."""

from __future__ import annotations

import pytest

from batkol.speech.markup import unmarked, without_bullet


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("**שלום**", "שלום"),
        ("**שלום**.", "שלום."),
        ("ב**תל", "בתל"),
        ("*כן*", "כן"),
        ("2*3", "2*3"),
        ("`batkol`.", "batkol."),
        ("צ`ק", "צ`ק"),  # a geresh
        ("```", ""),
        ("_חשוב_", "חשוב"),
        ("snake_case", "snake_case"),
        ("##", ""),
        ("#כותרת", "כותרת"),
        ("~~לא~~", "לא"),
        ("~5", "~5"),
        ("|", ""),
        ("👋", ""),
        ("שלום👋🏽!", "שלום!"),
        ("👨‍👩‍👧", ""),
        ("1️⃣", "1"),
        ("❤️", ""),
        ("✅", ""),
        ("•חלב", "חלב"),
        ("\u200fשלום\u200f", "שלום"),
        ("25°", "25°"),
        ("₪150", "₪150"),
        ("20%", "20%"),
        ("a_b@example.co.il", "a_b@example.co.il"),
        ("**https://example.com/a_b#c**", "https://example.com/a_b#c"),
        ("https://example.com/_a_/b*c", "https://example.com/_a_/b*c"),
    ],
)
def test_marks_are_removed_from_a_word(word: str, said: str) -> None:
    assert unmarked(word) == said


@pytest.mark.parametrize(
    ("word", "said"),
    [("-", ""), ("–", ""), ("*", ""), ("+", ""), (">", ""), ("###", ""), ("---", ""), ("===", ""), ("-חלב", "חלב"),
     ("-5", "-5"), ("חלב", "חלב"), ("1.", "1.")],
)  # fmt: skip
def test_a_bullet_at_the_beginning_of_a_line_is_removed(word: str, said: str) -> None:
    assert without_bullet(word) == said
