"""The two pure machines of the loop: when to ask the pods, and how long to wait after a failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batkol_operator.pods.poll_schedule import HURRIED_S, HURRY_FOR_S, RELAXED_S, Asking
from batkol_operator.reconcile.backoff import FIRST_S, JITTER, LONGEST_S, ReconcileBackoff


def test_a_change_is_asked_about_at_once_then_hurriedly_then_no_longer() -> None:
    asking = Asking()
    asking.want("revision 1", 100.0)
    assert asking.due(100.0)

    asking.asked(all_in_sync=False, now=100.0)
    assert asking.deadline == 100.0 + HURRIED_S
    asking.asked(all_in_sync=True, now=101.0)
    assert asking.deadline == 101.0 + RELAXED_S


def test_the_hurry_is_bounded() -> None:
    asking = Asking()
    asking.want("revision 1", 0.0)
    asking.asked(all_in_sync=False, now=HURRY_FOR_S)

    assert asking.deadline == HURRY_FOR_S + RELAXED_S


def test_wanting_the_same_again_changes_nothing() -> None:
    asking = Asking()
    asking.want("revision 1", 0.0)
    asking.asked(all_in_sync=True, now=0.0)
    asking.want("revision 1", 5.0)

    assert asking.deadline == RELAXED_S


def test_delays_double_up_to_the_longest_and_begin_anew() -> None:
    backoff = ReconcileBackoff(uniform=lambda: 0.0)

    assert [backoff.next() for _ in range(9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    backoff.reset()
    assert backoff.next() == FIRST_S


@given(st.integers(min_value=1, max_value=2000), st.floats(min_value=0, max_value=0.999))
def test_no_delay_is_longer_than_the_longest_nor_shorter_than_its_share(failures: int, drawn: float) -> None:
    backoff = ReconcileBackoff(uniform=lambda: drawn)
    delay = [backoff.next() for _ in range(failures)][-1]

    assert FIRST_S * (1 - JITTER) <= delay <= LONGEST_S
