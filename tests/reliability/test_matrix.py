"""The fault matrix in short forms. `make faults` runs all of its rows, in full, and writes the table.

A row waits most of its time, so four of them run side by side; each has a service, a double and a network of its own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from batkol.recognizers.google.errors import TABLE
from reliability import table
from reliability.matrix import DOCUMENT
from reliability.rows_crossed import WITH_THE_TESTS
from reliability.scenario import Scenario
from reliability.scenarios import SCENARIOS
from reliability.trial import left_behind, run

ALONE = frozenset({"starved-loop"})
"""It stops the event loop, and its neighbours with it."""

SIDE_BY_SIDE = 4


def batches() -> Iterator[tuple[Scenario, ...]]:
    short = sorted((row.short() for row in SCENARIOS if row.tested), key=lambda row: row.length_s, reverse=True)
    yield from ((row,) for row in short if row.name in ALONE)
    rest = iter([row for row in short if row.name not in ALONE])
    while rows := tuple(islice(rest, SIDE_BY_SIDE)):
        yield rows


@pytest.mark.parametrize("rows", [pytest.param(rows, id=" ".join(row.name for row in rows)) for rows in batches()])
async def test_no_word_is_lost_doubled_or_misattributed(rows: tuple[Scenario, ...], tmp_path: Path) -> None:
    """And what must be seen of the fault is seen, and nothing is left behind."""
    results = await asyncio.gather(*(run(row, tmp_path / row.name) for row in rows))

    wrong = [[table.line(result), *table.details(result)] for result in results if not result.right]
    assert not wrong, "\n".join(line for lines in wrong for line in lines)
    assert left_behind() == []


def test_the_page_tells_of_every_class_of_end() -> None:
    page = DOCUMENT.read_text()

    assert [row.reason for row in TABLE if f"`{row.reason}`" not in page and row.reason != row.code.name.lower()] == []
    assert [row.code.name for row in TABLE if row.code.name not in page] == []


def test_every_row_has_a_name_of_its_own_and_a_place_in_the_table() -> None:
    assert len({row.name for row in SCENARIOS}) == len(SCENARIOS)
    assert {row.group for row in SCENARIOS} == set(table.GROUPS)
    assert {row.name for row in SCENARIOS} >= WITH_THE_TESTS


def test_the_table_has_every_row_and_no_other() -> None:
    """Someone may have added a row: `make faults ARGS=--write` measures them all and writes the table."""
    _, _, rest = DOCUMENT.read_text().partition(table.BEGIN)
    measured = re.findall(r"^\| `([^`]+)` \|", rest.partition(table.END)[0], re.MULTILINE)

    assert sorted(measured) == sorted(row.name for row in SCENARIOS)
    assert f" of {len(measured)} rows as they must be" in rest
