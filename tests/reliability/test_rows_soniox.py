"""The fault matrix with Soniox: two rows in their short form by day, all of them at night."""

import re
from pathlib import Path

import pytest

from reliability import table
from reliability.matrix import SONIOX_DOCUMENT
from reliability.scenarios import ALL, WITH_SONIOX, named
from reliability.trial import left_behind, run

BY_DAY = frozenset({"soniox-half-open", "soniox-401-google"})


@pytest.mark.parametrize(
    "name",
    [row.name if row.name in BY_DAY else pytest.param(row.name, marks=pytest.mark.nightly) for row in WITH_SONIOX],
)
async def test_with_soniox_no_word_is_lost_doubled_or_misattributed(name: str, tmp_path: Path) -> None:
    result = await run(named(name).short(), tmp_path)

    assert result.right, "\n".join([table.line(result), *table.details(result)])
    assert left_behind() == []


def test_the_page_has_every_row() -> None:
    page = SONIOX_DOCUMENT.read_text()
    measured = re.findall(r"^\| `([^`]+)` \|", page.partition(table.BEGIN)[2].partition(table.END)[0], re.MULTILINE)

    assert sorted(measured) == sorted(row.name for row in WITH_SONIOX)


def test_every_row_has_a_name_of_its_own_and_a_place_in_a_table() -> None:
    assert len({row.name for row in ALL}) == len(ALL)
    assert {row.group for row in WITH_SONIOX} == set(table.SONIOX_GROUPS)
