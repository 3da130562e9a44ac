"""The fault matrix with Soniox: rows in their short form. The nightly run has all of them."""

import re
from pathlib import Path

import pytest

from reliability import table
from reliability.soniox_rows import BY_DAY, ROWS
from reliability.trial import left_behind, run

PAGE = Path(__file__).parents[2] / "docs" / "soniox.md"


@pytest.mark.parametrize(
    "name", [row.name if row.name in BY_DAY else pytest.param(row.name, marks=pytest.mark.nightly) for row in ROWS]
)
async def test_with_soniox_no_word_is_lost_doubled_or_misattributed(name: str, tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.name == name)
    result = await run(row.short(), tmp_path)

    assert result.right, "\n".join([table.line(result), *table.details(result)])
    assert left_behind() == []


def test_the_page_has_every_row() -> None:
    assert re.findall(r"^\| `(soniox[^`]*)` \|", PAGE.read_text(), re.MULTILINE) == [row.name for row in ROWS]
