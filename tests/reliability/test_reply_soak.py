"""The soak of replies in its short form: a few turns, and a pod that is drained meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability.reply_soak import Plan, soak


@pytest.mark.nightly
@pytest.mark.timeout(120)
async def test_each_question_has_one_reply_whatever_becomes_of_the_pods(tmp_path: Path) -> None:
    found = await soak(Plan(turns=6, staying=1, moving=2, drain_every_s=4.0, drains=2), tmp_path)

    assert found.wrong == []
    assert found.turns.total() == 6
    assert found.drains >= 1
    assert found.replies >= 6
