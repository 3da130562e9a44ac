"""The soak's short form: the same processes, callers and verdict as `make soak`, with limits scaled down."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability.soak_run import Plan, soak
from reliability.soak_streams import Window
from reliability.soak_verdict import verdict

SHORT = Plan(seconds=12.5, calls=3, window=Window(after_s=2.5, by_s=4, limit_s=6), every_s=1)
LONGER = Plan(seconds=25, calls=3, window=Window(after_s=5, by_s=7, limit_s=9), every_s=1)
"""The limits in seconds. Everything else of the double is as it always is."""


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.nightly
@pytest.mark.parametrize("plan", [SHORT, LONGER], ids=["short", "longer"])
async def test_calls_outlive_three_streams_each_and_leave_nothing_behind(tmp_path: Path, plan: Plan) -> None:
    """One caller never pauses, one speaks in sentences, one is put on hold. Nothing is said of memory: too short."""
    found = await soak(plan, tmp_path)

    assert plan.rotations == 3
    assert [(demand.text, demand.figure) for demand in verdict(found) if not demand.met] == []
