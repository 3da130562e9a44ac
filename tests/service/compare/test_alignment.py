import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.compare.alignment import PairKind, align, differs_in_prefix
from batkol.compare.character_distance import character_distance
from batkol.compare.compared_word import ComparedWord
from batkol.compare.errors import ErrorCounts, score
from support.properties import few_by_day

few_words = st.lists(st.sampled_from(["אחד", "שני", "הבית", "לבית", "גם"]), max_size=9)


def compared(texts: list[str]) -> list[ComparedWord]:
    return [ComparedWord(text, text) for text in texts]


def fewest_changes(one: list[str] | str, other: list[str] | str) -> int:
    """The plain table, cell by cell."""
    row = list(range(len(other) + 1))
    for number, mine in enumerate(one, 1):
        before, row = row, [number]
        for column, its in enumerate(other, 1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (mine != its)))
    return row[-1]


@few_by_day(60)
@given(few_words, few_words)
def test_an_alignment_has_every_word_once_and_as_few_errors_as_can_be(said: list[str], heard: list[str]) -> None:
    pairs = align(compared(said), compared(heard))

    assert [pair.said.normal for pair in pairs if pair.said] == said
    assert [pair.heard.normal for pair in pairs if pair.heard] == heard
    assert sum(pair.kind is not PairKind.SAME for pair in pairs) == fewest_changes(said, heard)


@few_by_day(60)
@given(st.text("אבג ", max_size=14), st.text("אבג ", max_size=14))
def test_the_distance_of_characters_is_that_of_the_plain_table(one: str, other: str) -> None:
    assert character_distance(one, other) == fewest_changes(one, other)


def test_words_of_one_stem_are_put_together_where_several_alignments_have_as_few_errors() -> None:
    pairs = align(compared(["גם", "הבית"]), compared(["לבית"]))

    assert [pair.kind for pair in pairs] == [PairKind.MISSING, PairKind.PREFIX]


@pytest.mark.parametrize(
    ("one", "other", "in_prefix"),
    [
        ("בית", "הבית", True),
        ("לבית", "הבית", True),
        ("ושבבית", "בית", True),
        ("ב3", "3", True),
        ("23", "3", False),
        ("בית", "ביתי", False),
        ("תור", "דור", False),
        ("ב", "ל", False),
    ],
)
def test_a_difference_in_attached_letters_only_is_one_of_the_prefix(one: str, other: str, *, in_prefix: bool) -> None:
    assert differs_in_prefix(one, other) is differs_in_prefix(other, one) is in_prefix


def test_errors_are_counted_by_kind_and_by_words_that_were_said() -> None:
    counts = score("אני רוצה לקבוע תור מחר בבוקר", "אני רצה לקבוע תור לבוקר בבקשה").counts

    assert (counts.words, counts.wrong, counts.prefix, counts.missing, counts.extra) == (6, 3, 0, 0, 0)
    counts = score("אני רוצה לקבוע תור מחר בבוקר", "אני רוצה תור מחר הבוקר כן").counts
    assert (counts.words, counts.wrong, counts.prefix, counts.missing, counts.extra) == (6, 1, 1, 1, 1)
    assert counts.word_error_rate == pytest.approx(3 / 6)
    assert counts.without_prefixes == pytest.approx(2 / 6)


def test_counts_add_up() -> None:
    one, other = score("שלום לך", "שלום").counts, score("", "אלו").counts

    assert one + other == ErrorCounts(words=2, missing=1, extra=1, characters=7, character_errors=6)
    assert other.word_error_rate == 1.0, "words where nothing was said are errors"
