"""Durations as they are shown: in one way, by one function."""

from __future__ import annotations

from pathlib import Path

import batkol
from batkol.clock import in_ms

SERVICE = Path(batkol.__file__).parent


def test_a_duration_is_shown_in_tenths_of_a_millisecond() -> None:
    assert [in_ms(seconds) for seconds in (0.0, 0.123_44, 1.0, -0.5)] == [0.0, 123.4, 1000.0, -500.0]


def test_no_other_module_rounds_durations_by_itself() -> None:
    found = [path.name for path in SERVICE.rglob("*.py") if "* 1000, 1)" in path.read_text(encoding="utf-8")]

    assert found == ["clock.py"]
