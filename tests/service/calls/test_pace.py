"""The pace of a phone call: what a telephone sends always passes, and no day of sound comes in a minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.calls.pace import AHEAD_S, KEYS_A_SECOND, KEYS_AT_ONCE, FloodError, PhonePace
from support.properties import few_by_day


@few_by_day(30)
@given(st.lists(st.floats(0.0, 90.0), min_size=1, max_size=100))
def test_sound_at_the_pace_of_the_clock_passes_however_a_network_bunches_it(stalls: list[float]) -> None:
    """The service puts in silence while nothing comes, and what was kept comes all the same."""
    pace, now, filled, sent = PhonePace(0.0), 0.0, 0, 0
    for stall in stalls:
        now += stall
        filled += int(stall * SAMPLE_RATE)
        sent = int(now * SAMPLE_RATE) + 66 * SAMPLE_RATE  # kept before its call, and a gap in its timestamps
        pace.check_sound(sent + filled, filled, now)

    assert sent + filled <= pace.free_to


def test_sound_that_is_further_ahead_is_a_flood_and_not_asked_about_before() -> None:
    pace = PhonePace(100.0)
    begins = pace.free_to
    pace.check_sound(begins + 10 * SAMPLE_RATE, 0, 110.0)

    assert begins == AHEAD_S * SAMPLE_RATE
    assert pace.free_to == begins + 10 * SAMPLE_RATE
    with pytest.raises(FloodError, match="more sound than a phone call has"):
        pace.check_sound(begins + 10 * SAMPLE_RATE + 1, 0, 110.0)


def test_keys_may_go_on_for_ever_at_the_rate_of_a_machine_that_dials() -> None:
    pace, now = PhonePace(0.0), 10 * KEYS_AT_ONCE / KEYS_A_SECOND

    def press(count: int) -> None:
        for _ in range(count):
            pace.check_key(now)

    for number in range(10 * KEYS_AT_ONCE):
        pace.check_key(number / KEYS_A_SECOND)
    press(KEYS_AT_ONCE - 1)

    with pytest.raises(FloodError, match="more keys"):
        press(2)
