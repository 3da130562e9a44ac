"""One row a class of fault in its short form. `make faults` runs all rows, in full, and writes the table.

A row waits most of its time: `make test` runs many of them side by side, each with a service, a double and a network of
its own, so that no breaker, connection or refused model of one row is there in the next.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batkol.recognizers.google.errors import TABLE
from reliability import table
from reliability.matrix import DOCUMENT
from reliability.scenarios import CLASSES, IN_THE_SUITE, SCENARIOS, named
from reliability.trial import left_behind, run


@pytest.mark.parametrize("name", sorted(IN_THE_SUITE))
async def test_no_word_is_lost_doubled_or_misattributed(name: str, tmp_path: Path) -> None:
    """And what must be seen of the fault is seen, and nothing is left behind."""
    result = await run(named(name).short(), tmp_path)

    assert result.right, "\n".join([table.line(result), *table.details(result)])
    assert left_behind() == []


def test_the_page_tells_of_every_class_of_end() -> None:
    page = DOCUMENT.read_text()

    assert [row.reason for row in TABLE if f"`{row.reason}`" not in page and row.reason != row.code.name.lower()] == []
    assert [row.code.name for row in TABLE if row.code.name not in page] == []


def test_every_row_has_a_name_of_its_own_and_a_place_in_the_table() -> None:
    assert len({row.name for row in SCENARIOS}) == len(SCENARIOS)
    assert {row.group for row in SCENARIOS} == set(table.GROUPS)
    assert {named(name).group for name in IN_THE_SUITE} == set(table.GROUPS)


def test_every_row_is_of_one_class_and_one_row_of_each_class_runs_with_the_suite() -> None:
    members = [{each.row, *each.others} for each in CLASSES]

    assert sorted(name for names in members for name in names) == sorted(row.name for row in SCENARIOS)
    assert len(IN_THE_SUITE) == len(CLASSES) == 40


def test_the_table_has_every_row_and_no_other() -> None:
    """Someone may have added a row: `make faults ARGS=--write` measures them all and writes the table."""
    _, _, rest = DOCUMENT.read_text().partition(table.BEGIN)
    measured = re.findall(r"^\| `([^`]+)` \|", rest.partition(table.END)[0], re.MULTILINE)

    assert sorted(measured) == sorted(row.name for row in SCENARIOS)
    assert f" of {len(measured)} rows as they must be" in rest
