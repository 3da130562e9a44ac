from __future__ import annotations

import time

import pytest

from batkol.tracing.clock import CallClock


async def test_a_wall_clock_that_is_set_in_the_middle_of_a_call_bends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = CallClock(since=lambda sample: (16_000 - sample) / 8000)
    before = clock.now()
    monkeypatch.setattr(time, "time_ns", lambda: before + 3600 * 10**9)

    assert 0 <= clock.now() - before < 60 * 10**9
    assert clock.now() - clock.spoken(8000) == pytest.approx(1e9, abs=0.9e9)
