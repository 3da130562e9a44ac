from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.play_clock import HORIZON_S, PlayClock
from support.properties import few_by_day


def test_sound_that_follows_in_time_is_played_without_a_gap() -> None:
    clock = PlayClock()
    clock.append(800, now=10.0)
    clock.append(800, now=10.05)

    assert (clock.end, clock.ends_at) == (1600, 10.2)
    assert [clock.at(when) for when in (9.9, 10.0, 10.1, 10.15, 11.0)] == [0, 0, 800, 1200, 1600]


def test_sound_that_comes_late_begins_when_it_comes() -> None:
    clock = PlayClock()
    clock.append(800, now=10.0)
    clock.append(800, now=10.5)

    assert [clock.at(when) for when in (10.2, 10.5, 10.55, 10.6)] == [800, 800, 1200, 1600]
    assert [clock.when(position) for position in (400, 800, 1200, 1601)] == [10.05, 10.1, 10.55, None]


def test_a_peer_with_a_buffer_does_not_run_dry_for_as_long_as_that() -> None:
    clock = PlayClock()
    clock.append(800, now=10.0, buffer_s=0.12)
    clock.append(800, now=10.2, buffer_s=0.12)
    clock.append(800, now=10.33, buffer_s=0.12)

    assert [clock.at(when) for when in (10.1, 10.15, 10.2, 10.33, 10.38)] == [800, 1200, 1600, 1600, 2000]


def test_what_is_stopped_is_not_played_and_keeps_its_positions() -> None:
    clock = PlayClock()
    clock.append(8000, now=10.0)
    clock.stop(clock.at(10.25))
    clock.skip(160)
    clock.append(800, now=10.3)

    assert (clock.end, clock.ends_at) == (8960, 10.4)
    assert [clock.at(when) for when in (10.2, 10.28, 10.3, 10.35)] == [1600, 2000, 8160, 8560]


def test_before_the_first_sound_nothing_has_been_played() -> None:
    clock = PlayClock()

    assert (clock.end, clock.at(10.0), clock.when(0), clock.when(1)) == (0, 0, float("-inf"), None)


def test_a_voice_that_always_comes_late_fills_no_memory() -> None:
    clock = PlayClock()
    for number in range(10_000):
        clock.append(160, now=number * 0.05)

    assert len(clock._runs) <= HORIZON_S / 0.05 + 2
    assert clock.at(10_000 * 0.05) == 1_600_000


@few_by_day(50)
@given(st.lists(st.tuples(st.integers(1, 3000), st.floats(0.0, 0.6))), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_the_clock_never_goes_back(sounds: list[tuple[int, float]], first: float, second: float) -> None:
    clock, now = PlayClock(), 0.0
    for samples, pause in sounds:
        now += pause
        clock.append(samples, now)
    earlier, later = sorted((now - first, now - second))

    assert clock.at(earlier) <= clock.at(later) <= clock.end
