"""The failure table of replies on the real wires. Its clock is held in virtual time by `test_reply_clock`, and here by
`make faults ARGS=--replies`, on a machine that does nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reliability import reply_table
from reliability.matrix import DOCUMENT
from reliability.reply_rows import GROUPS, ROWS, named
from reliability.reply_trial import run
from reliability.trial import left_behind

BY_DAY = frozenset({"voice-cut"})


@pytest.mark.parametrize(
    "name", [row.name if row.name in BY_DAY else pytest.param(row.name, marks=pytest.mark.nightly) for row in ROWS]
)
async def test_a_caller_hears_one_reply_a_turn_and_the_call_goes_on(name: str, tmp_path: Path) -> None:
    result = await run(named(name), tmp_path)

    assert result.problems == [], "\n".join(reply_table.details(result))
    assert left_behind() == []


def test_every_row_has_a_name_of_its_own_and_a_place_in_the_table() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {row.group for row in ROWS} == set(GROUPS)
    _, _, rest = DOCUMENT.read_text().partition(reply_table.BEGIN)
    measured = re.findall(r"^\| `([^`]+)` \|", rest.partition(reply_table.END)[0], re.MULTILINE)
    assert sorted(measured) == sorted(row.name for row in ROWS)
