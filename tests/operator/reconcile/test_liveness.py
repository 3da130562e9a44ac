from __future__ import annotations

from batkol_operator.reconcile.liveness import BARREN_S, OVERDUE_S, LoopWatchdog

ONE, TWO = ("voices", "one"), ("voices", "two")


def test_loops_that_come_back_are_progress() -> None:
    progress = LoopWatchdog()
    progress.begins(ONE, 0)
    progress.ends(ONE, 1, next_in=60, worked=True)

    assert progress.why_stuck(1 + 60 + OVERDUE_S) is None


def test_a_pass_that_hangs_is_not() -> None:
    progress = LoopWatchdog()
    progress.begins(ONE, 0)

    assert progress.why_stuck(OVERDUE_S + 1) == "1 agents are overdue, the first is voices/one"


def test_nor_is_a_loop_that_has_died() -> None:
    progress = LoopWatchdog()
    progress.ends(ONE, 0, next_in=60, worked=True)

    assert progress.why_stuck(60 + OVERDUE_S + 1) is not None


def test_a_loop_that_has_left_owes_nothing() -> None:
    progress = LoopWatchdog()
    progress.begins(ONE, 0)
    progress.stopped(ONE)

    assert progress.why_stuck(10 * OVERDUE_S) is None


def test_one_that_fails_while_others_work_is_no_reason_to_restart() -> None:
    progress = LoopWatchdog()
    for now in range(0, int(BARREN_S) * 2, 30):
        progress.ends(ONE, now, next_in=30, worked=False)
        progress.ends(TWO, now, next_in=30, worked=True)

    assert progress.why_stuck(BARREN_S * 2) is None


def test_when_nothing_works_for_long_a_restart_is_worth_a_try() -> None:
    progress = LoopWatchdog()
    for now in range(0, int(BARREN_S) + 60, 30):
        progress.ends(ONE, now, next_in=30, worked=False)

    assert "no pass has worked" in str(progress.why_stuck(BARREN_S + 60))
