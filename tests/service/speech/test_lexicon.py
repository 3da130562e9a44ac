"""Lists of words: what shows that a caller listens, what stops the agent, and what needs another word."""

from __future__ import annotations

import pytest

from batkol.speech.lexicon import Ending, ending, lexicon

WORDS = lexicon()


@pytest.mark.parametrize("text", ["כן", "כן, כן.", "אה הא", "נכון בסדר", "Mm-hm", "uh huh yeah", "מְהמ", "Yes, I see"])
def test_backchannel_words_alone_are_no_interruption(text: str) -> None:
    assert WORDS.is_backchannel(text)
    assert not WORDS.stops(text)


@pytest.mark.parametrize("text", ["", "כן אבל", "פיצה", "לא", "I see you"])
def test_other_words_are_more_than_a_backchannel(text: str) -> None:
    assert not WORDS.is_backchannel(text)


@pytest.mark.parametrize("text", ["רגע", "לא!", "כן, רגע", "hold on a second", "Excuse me"])
def test_a_stop_word_stops_alone_and_among_others(text: str) -> None:
    assert WORDS.stops(text)


def test_a_stop_word_is_no_part_of_another_word_or_phrase() -> None:
    assert not WORDS.stops("לאט לאט")
    assert not WORDS.stops("hold the line on Monday")


def test_both_lists_may_be_replaced_and_a_word_in_both_stops() -> None:
    words = lexicon(backchannel=["יאללה", "די"], stopping=["די"])
    assert words.is_backchannel("יאללה")
    assert not words.is_backchannel("כן")
    assert words.stops("די")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Ending.WHOLE),
        ("אני רוצה פיצה", Ending.WHOLE),
        ("אני רוצה פיצה אבל", Ending.UNFINISHED),
        ("הבית של", Ending.UNFINISHED),
        ("I want a pizza and,", Ending.UNFINISHED),
        ("המספר שלי אפס חמש שתיים", Ending.DICTATION),
        ("המספר שלי 052", Ending.DICTATION),
        ("המספר שלי 052 123", Ending.DICTATION),
        ("המספר שלי 0521234567", Ending.WHOLE),
        ("אפס חמש שתיים אחת שתיים שלוש ארבע חמש שש", Ending.WHOLE),
        ("שתי פיצות ב 50", Ending.WHOLE),
        ("two five", Ending.WHOLE),
    ],
)
def test_the_end_of_a_text_says_whether_more_follows(text: str, expected: Ending) -> None:
    assert ending(text) is expected


def test_a_phrase_of_any_number_of_words_is_found_and_the_longest_first() -> None:
    words = lexicon(["yes i see that", "yes"], ["one moment please my friend", "one"])

    assert words.is_backchannel("Yes, I see that. Yes.")
    assert words.telling("yes i see") == ["i", "see"]
    assert words.stops("one moment please, my friend")
    assert not words.stops("moment please my friend")


def test_empty_lists_find_nothing() -> None:
    words = lexicon([], [])

    assert not words.is_backchannel("כן")
    assert not words.stops("רגע")
    assert words.telling("כן רגע") == ["כן", "רגע"]


@pytest.mark.parametrize("text", ["O.K.", "כֵּן", "\u200fכן\u200f", "אה-הא", "Mm-hmm."])
def test_what_recognizers_write_for_a_backchannel_word_is_one(text: str) -> None:
    assert lexicon().is_backchannel(text)
