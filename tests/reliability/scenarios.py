"""All rows of the fault matrix, in the table's order."""

from __future__ import annotations

from typing import Final

from reliability import rows_answers, rows_crossed, rows_ends, rows_limit, rows_network, rows_operations, rows_times
from reliability.scenario import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *rows_limit.ROWS,
    *rows_ends.ROWS,
    *rows_network.ROWS,
    *rows_answers.ROWS,
    *rows_operations.ROWS,
    *rows_times.ROWS,
    *rows_crossed.ROWS,
)


def named(name: str) -> Scenario:
    """Return a row by its name. Raises `KeyError`."""
    return {scenario.name: scenario for scenario in SCENARIOS}[name]
