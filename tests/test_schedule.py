"""The order of a run: nothing is lost, and what waits stands evenly."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.schedule import shares_a_fixture, spread


class Stub(NamedTuple):
    """What the order asks of an item."""

    path: Path
    number: int


def _waits(item: pytest.Item) -> bool:
    return str(item.path).startswith("calls")


def _is_long(item: pytest.Item) -> bool:
    return str(item.path).endswith("long")


def ordered(counts: dict[str, int]) -> list[Stub]:
    items = [Stub(Path(folder), number) for folder, count in counts.items() for number in range(count)]
    spreading = spread(cast("list[pytest.Item]", items), _waits, _is_long)
    return cast("list[Stub]", spreading)


@given(st.dictionaries(st.sampled_from(["calls/a", "calls/b", "calls/long", "c", "d"]), st.integers(0, 50)))
def test_every_test_runs_once(counts: dict[str, int]) -> None:
    expected = sorted((folder, number) for folder, count in counts.items() for number in range(count))

    assert sorted((str(path), number) for path, number in ordered(counts)) == expected


def test_what_waits_stands_evenly_between_the_rest() -> None:
    places = [place for place, test in enumerate(ordered({"calls/a": 10, "c": 90})) if str(test.path) == "calls/a"]

    assert places == list(range(0, 100, 10))


def test_what_is_long_comes_first_and_is_spread_too() -> None:
    found = ordered({"a": 40, "calls/b": 10, "calls/long": 2})

    assert [place for place, test in enumerate(found) if str(test.path) == "calls/long"] == [0, 26]


def test_what_computes_keeps_its_order() -> None:
    assert [test.number for test in ordered({"c": 20, "calls/a": 5}) if str(test.path) == "c"] == list(range(20))


@pytest.fixture(scope="module")
def made_once() -> int:
    return 1


@pytest.mark.usefixtures("made_once")
def test_a_test_that_shares_a_fixture_of_its_module_is_known(request: pytest.FixtureRequest) -> None:
    assert shares_a_fixture(request.node)


def test_other_fixtures_are_not_shared(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert tmp_path.exists()
    assert not shares_a_fixture(request.node)
