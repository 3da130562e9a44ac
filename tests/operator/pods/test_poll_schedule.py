"""The two pure machines of the loop: when to ask the pods, and how long to wait after a failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batkol_operator.pods.poll_schedule import QUICK_FOR_S, QUICK_INTERVAL_S, SLOW_INTERVAL_S, PollSchedule
from batkol_operator.reconcile.backoff import FIRST_S, JITTER, LONGEST_S, ReconcileBackoff


def test_a_change_is_asked_about_at_once_then_hurriedly_then_no_longer() -> None:
    schedule = PollSchedule()
    schedule.expect("revision 1", 100.0)
    assert schedule.due(100.0)

    schedule.record(all_in_sync=False, now=100.0)
    assert schedule.deadline == 100.0 + QUICK_INTERVAL_S
    schedule.record(all_in_sync=True, now=101.0)
    assert schedule.deadline == 101.0 + SLOW_INTERVAL_S


def test_the_hurry_is_bounded() -> None:
    schedule = PollSchedule()
    schedule.expect("revision 1", 0.0)
    schedule.record(all_in_sync=False, now=QUICK_FOR_S)

    assert schedule.deadline == QUICK_FOR_S + SLOW_INTERVAL_S


def test_wanting_the_same_again_changes_nothing() -> None:
    schedule = PollSchedule()
    schedule.expect("revision 1", 0.0)
    schedule.record(all_in_sync=True, now=0.0)
    schedule.expect("revision 1", 5.0)

    assert schedule.deadline == SLOW_INTERVAL_S


def test_delays_double_up_to_the_longest_and_begin_anew() -> None:
    backoff = ReconcileBackoff(rng=lambda: 0.0)

    assert [backoff.next() for _ in range(9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    backoff.reset()
    assert backoff.next() == FIRST_S


@given(st.integers(min_value=1, max_value=2000), st.floats(min_value=0, max_value=0.999))
def test_no_delay_is_longer_than_the_longest_nor_shorter_than_its_share(failures: int, draw: float) -> None:
    backoff = ReconcileBackoff(rng=lambda: draw)
    delay = [backoff.next() for _ in range(failures)][-1]

    assert FIRST_S * (1 - JITTER) <= delay <= LONGEST_S
