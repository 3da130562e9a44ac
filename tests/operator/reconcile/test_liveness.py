from __future__ import annotations

from batkol_operator.reconcile.liveness import OVERDUE_S, WITHOUT_SUCCESS_S, LoopWatchdog

ONE, TWO = ("voices", "one"), ("voices", "two")


def test_loops_that_come_back_are_progress() -> None:
    watchdog = LoopWatchdog()
    watchdog.pass_began(ONE, 0)
    watchdog.pass_ended(ONE, 1, next_in=60, worked=True)

    assert watchdog.why_stuck(1 + 60 + OVERDUE_S) is None


def test_a_pass_that_hangs_is_not() -> None:
    watchdog = LoopWatchdog()
    watchdog.pass_began(ONE, 0)

    assert watchdog.why_stuck(OVERDUE_S + 1) == "1 agent is overdue, the first is voices/one"


def test_nor_is_a_loop_that_has_died() -> None:
    watchdog = LoopWatchdog()
    watchdog.pass_ended(ONE, 0, next_in=60, worked=True)

    assert watchdog.why_stuck(60 + OVERDUE_S + 1) is not None


def test_a_loop_that_has_left_owes_nothing() -> None:
    watchdog = LoopWatchdog()
    watchdog.pass_began(ONE, 0)
    watchdog.loop_stopped(ONE)

    assert watchdog.why_stuck(10 * OVERDUE_S) is None


def test_one_that_fails_while_others_work_is_no_reason_to_restart() -> None:
    watchdog = LoopWatchdog()
    for now in range(0, int(WITHOUT_SUCCESS_S) * 2, 30):
        watchdog.pass_ended(ONE, now, next_in=30, worked=False)
        watchdog.pass_ended(TWO, now, next_in=30, worked=True)

    assert watchdog.why_stuck(WITHOUT_SUCCESS_S * 2) is None


def test_when_nothing_works_for_long_a_restart_is_worth_a_try() -> None:
    watchdog = LoopWatchdog()
    for now in range(0, int(WITHOUT_SUCCESS_S) + 60, 30):
        watchdog.pass_ended(ONE, now, next_in=30, worked=False)

    assert "no pass has succeeded" in str(watchdog.why_stuck(WITHOUT_SUCCESS_S + 60))
