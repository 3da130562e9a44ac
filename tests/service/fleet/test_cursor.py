from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.events.cursor import Cursor, MalformedCursorError
from batkol.fleet.cursor import LONGEST, MOST_PODS, CursorError, joined, parse

BOOTS = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(st.dictionaries(BOOTS, st.integers(0, 10**14), min_size=1, max_size=30))
def test_what_is_written_is_read_in_the_same_order(positions: dict[str, int]) -> None:
    assert list(parse(joined(positions)).items()) == list(positions.items())


def test_a_pods_own_cursor_is_one_of_the_fleet() -> None:
    assert parse(str(Cursor("0123456789abcdef", 7))) == {"0123456789abcdef": 7}


@pytest.mark.parametrize("digits", range(14, 21))
def test_the_fleet_takes_the_numbers_that_a_pod_takes(digits: int) -> None:
    text = f"0123456789abcdef-{'9' * digits}"
    taken: list[bool] = []
    for read in (Cursor.parse, parse):
        try:
            read(text)
        except (MalformedCursorError, CursorError):
            taken.append(False)
        else:
            taken.append(True)

    assert taken == [digits <= 18] * 2


def test_the_largest_cursor_is_accepted_and_fits_into_a_header() -> None:
    largest = joined({f"{number:016x}": 10**10 for number in range(MOST_PODS)})

    assert len(parse(largest)) == MOST_PODS
    assert len(largest) < LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "boot",
        "boot-",
        "-1",
        "boot-1.",
        "boot-1..boot-2",
        "boot--1 ",
        "boot-1,b-2",
        "boot-x",
        "böot-1",
        "b-1\n",
    ],
)
def test_anything_else_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(CursorError, match="no cursor") as refused:
        parse(text)
    assert not text.strip(".- ") or text not in str(refused.value)
