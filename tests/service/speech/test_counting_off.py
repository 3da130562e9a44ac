"""Where one recognizer's words of an utterance lie in what another one heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.counting_off import MOST_COMPARED, count_off, find

KNOWN = ["אני", "רוצה", "פגישה"]
words = st.lists(st.sampled_from(["א", "ב", "ג", "ד"]), max_size=8)


@given(known=words, after=words)
def test_two_recognizers_that_agree_are_told_apart_to_the_word(known: list[str], after: list[str]) -> None:
    assert count_off(known, [*known, *after], len(known)) == len(known)


@given(known=words, heard=words, expected=st.integers(0, 8))
def test_no_more_words_are_counted_off_than_there_are(known: list[str], heard: list[str], expected: int) -> None:
    assert 0 <= count_off(known, heard, expected) <= len(heard)


@pytest.mark.parametrize(
    ("heard", "count"),
    [
        (["אני", "רוצה", "פגישה", "מחר"], 3),
        (["אֲנִי", "רוצה", "פגישה,", "מחר"], 3),
        (["אני", "רצה", "פגישה", "מחר"], 3),
        (["אני", "רוצה", "לי", "פגישה", "מחר"], 4),
        (["אני", "פגישה", "מחר", "בבוקר"], 2),
        (["אני", "רוצה"], 2),
        (["רוצה", "פגישה", "מחר", "בבוקר"], 2),
        (["לא", "כן", "מי", "מה", "מתי"], 3),
        ([], 0),
    ],
    ids=["same", "spelling", "other word", "word more", "word less", "not all", "its end", "nothing alike", "nothing"],
)
def test_the_known_words_are_those_that_differ_least(heard: list[str], count: int) -> None:
    assert count_off(KNOWN, heard, 3) == count


def test_where_nothing_is_alike_the_audio_says_how_many_there_are() -> None:
    heard = ["לא", "כן", "מי", "מה"]

    assert [count_off(KNOWN, heard, expected) for expected in (0, 1, 3)] == [0, 1, 3]


def test_of_a_text_too_long_to_compare_no_more_than_the_number_is_known() -> None:
    known = [f"w{number}" for number in range(MOST_COMPARED + 1)]

    assert count_off(known, ["x", *known[2:], "y", "z"], len(known)) == len(known)
    assert count_off(known, [*known, "y", "z"], len(known)) == len(known)
    assert find(known, known) == (0, 0)


@given(before=words, after=words)
def test_a_stretch_is_found_wherever_it_is(before: list[str], after: list[str]) -> None:
    assert find(KNOWN, [*before, *KNOWN, *after]) == (len(before), len(before) + len(KNOWN))


def test_a_stretch_of_which_more_than_half_differs_is_none() -> None:
    assert find(KNOWN, ["כן", "אני", "רצה", "פגישה", "מחר"]) == (1, 4)
    assert find(KNOWN, ["כן", "אני", "לא", "יודע"]) == (0, 0)
    assert find([], ["כן"]) == (0, 0)
    assert find(KNOWN, []) == (0, 0)
