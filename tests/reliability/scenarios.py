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


IN_THE_SUITE: Final = frozenset(
    (
        "limit-no-pause", "limit-hold", "limit-held-finals", "rotation-refused", "rotation-deaf",
        "rotation-dies-at-open", "rotation-quota", "half-close-unavailable-then-done", "half-close-stall-late-finals",
        "unavailable-first-audio", "unavailable-before-final", "unavailable-half-close", "internal-mid-utterance",
        "aborted-v2-limit", "deaths-for-ever", "going-away", "stall-no-pause", "silence-then-well", "outage",
        "cut-before-final", "unreachable-whisper", "forgotten", "dead-briefly-no-pause", "slow-network",
        "media-gap-2s", "media-hold", "media-burst", "media-sequence", "clock-forward-backward", "starved-loop",
        "merged-double-finals", "no-audio",
        "quota-storm", "pacing-refused", "model", "credentials-all", "single-stalls-too", "own-quota-rotation",
        "flip-replay", "drain-rotation", "drain-over-stall", "hang-up-late-final", "everything",
        "short-after-1s", "undated-finals", "merged-finals+pauses",
        "limit-no-finals+flip", "merged-finals+flip", "stall-silence+drain", "late-finals+over",
    )
)  # fmt: skip
"""One row a class of fault: their short forms run with `make test`, all rows in full with `make faults`."""


def named(name: str) -> Scenario:
    """Return a row by its name. Raises `KeyError`."""
    return {scenario.name: scenario for scenario in SCENARIOS}[name]
