"""The judge is judged: each kind of damage is seen, and named rightly."""

from __future__ import annotations

from batkol.simulators.voice.recognizer import GARBLE
from reliability.score import Said, Written, score

SAID = [
    Said("one", 0, 400),
    Said("two", 500, 900),
    Said("three", 1000, 1400),
    Said("four", 2500, 2900),
    Said("five", 3000, 3400),
]
RECORD = [Written(-100, 1500, "one two three"), Written(2400, 3500, "four five")]


def changed(*texts: str) -> list[Written]:
    return [line._replace(text=text) for line, text in zip(RECORD, texts, strict=True)]


def test_a_faithful_record_has_no_fault() -> None:
    assert score(SAID, RECORD).clean
    assert score(SAID, RECORD).sent == 5


def test_a_word_that_is_missing_is_lost() -> None:
    assert score(SAID, changed("one three", "four five")).lost == ("two",)
    assert score(SAID, []).lost == ("one", "two", "three", "four", "five")


def test_a_word_too_many_is_doubled() -> None:
    found = score(SAID, changed("one two two three", "three four five"))

    assert sorted(found.doubled) == ["three", "two"]
    assert not found.lost
    assert not found.misattributed


def test_a_garble_is_a_lost_word_and_something_that_nobody_said() -> None:
    found = score(SAID, changed(f"one {GARBLE} three", "four five"))

    assert (found.lost, found.doubled) == (("two",), (GARBLE,))


def test_a_word_in_the_next_utterance_is_misattributed() -> None:
    found = score(SAID, changed("one two", "three four five"))

    assert found.misattributed == ("three",)
    assert not found.lost
    assert not found.doubled


def test_words_in_another_order_are_misattributed() -> None:
    assert score(SAID, changed("one three two", "four five")).misattributed in {("two",), ("three",)}


def test_another_calls_word_is_misattributed() -> None:
    assert score(SAID, changed("one two three nine", "four five"), {"nine"}).misattributed == ("nine",)


def test_an_utterance_that_the_detector_cut_in_two_is_no_fault() -> None:
    cut = [Written(-100, 700, "one"), Written(700, 1500, "two three"), RECORD[1]]

    assert score(SAID, cut).clean
    assert score(SAID, [Written(-100, 3500, "one two three four five")]).clean


def test_a_cut_word_may_be_there_in_part_or_not_at_all() -> None:
    """Of a caller who hangs up in the middle of a word nobody knows what arrived."""
    said = [*SAID[:-1], Said("five", 3000, 3400, whole=False)]

    for last in ("four five", "four", f"four {GARBLE}", "four fi"):
        assert score(said, changed("one two three", last)).clean
    assert score(said, RECORD).sent == 4
    assert score(said, changed("one two three", "four six")).doubled == ("six",)


def test_of_two_equal_words_the_one_nearer_in_time_is_meant() -> None:
    said = [Said("yes", 0, 400), Said("yes", 2500, 2900)]

    found = score(said, [Written(2400, 3000, "yes")])

    assert found.lost == ("yes",)
    assert not found.misattributed
