from hypothesis import given
from hypothesis import strategies as st

from batkol.calls.lag import QUIET_S, STALL_S, WINDOW_S, LoopLag
from support.properties import few_by_day


def test_the_worst_of_the_last_minute_is_kept_and_then_forgotten() -> None:
    lag = LoopLag()
    for now, late in ((0.0, 0.2), (10.0, 3.0), (20.0, 0.1), (50.0, 0.4)):
        lag.record(late, now)

    assert lag.worst(50.0) == 3.0
    assert lag.worst(10.0 + WINDOW_S) == 0.4
    assert lag.worst(50.0 + WINDOW_S) == 0.0


def test_a_stall_is_told_once_and_those_that_follow_it_with_the_next() -> None:
    lag = LoopLag()

    assert lag.record(STALL_S, 100.0) == 1
    assert [lag.record(0.9, 100.0 + n) for n in (1, 2, 3)] == [0, 0, 0]
    assert lag.record(0.9, 100.0 + QUIET_S) == 4
    assert lag.stalls == 5


def test_a_stall_that_is_twice_as_long_is_told_at_once() -> None:
    lag = LoopLag()

    assert [lag.record(late, 100.0 + n) for n, late in enumerate((0.6, 0.7, 3.0, 3.0))] == [1, 0, 2, 0]


def test_what_is_no_stall_is_not_told() -> None:
    lag = LoopLag()

    assert lag.record(STALL_S - 0.01, 100.0) == 0
    assert lag.stalls == 0


@few_by_day(30)
@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 30)), max_size=100))
def test_the_worst_is_what_a_minutes_list_would_say(steps: list[tuple[float, float]]) -> None:
    lag, now, seen = LoopLag(), 0.0, list[tuple[float, float]]()
    for late, step in steps:
        now += step
        lag.record(late, now)
        seen.append((now, late))
        assert lag.worst(now) == max(late for at, late in seen if at > now - WINDOW_S)
