"""When a task that died runs again, and when it may be relied on again."""

from __future__ import annotations

import pytest

from batkol.supervision.restarts import DEATHS, LONGEST_S, STEADY_S, Restarts, TaskState


def restarts(longest_s: float = LONGEST_S) -> Restarts:
    """Of a task that runs since 100.0, without jitter."""
    made = Restarts(longest_s=longest_s, uniform=lambda: 0.0)
    made.begin(100.0)
    return made


def died_at_once(made: Restarts, times: int, now: float = 100.0) -> tuple[list[float], float]:
    """Let it die as soon as it is started; return the waits, and when it died last."""
    waits: list[float] = []
    for _ in range(times):
        death = made.die(now, "LookupError")
        waits.append(death.again_in_s)
        now += death.again_in_s
        made.begin(now)
    return waits, now


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    waits, _ = died_at_once(restarts(longest_s=2.0), 8)

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]


def test_it_is_tried_for_ever() -> None:
    waits, _ = died_at_once(restarts(), 2_000)

    assert waits[-1] == LONGEST_S


@pytest.mark.parametrize(("drawn", "wait"), [(0.0, 0.1), (0.5, 0.075), (0.999, 0.05005)])
def test_jitter_takes_up_to_half_of_a_wait(drawn: float, wait: float) -> None:
    assert Restarts(uniform=lambda: drawn).die(1.0, "LookupError").again_in_s == pytest.approx(wait)


def test_one_death_is_no_failure_and_five_in_a_minute_are() -> None:
    made = restarts()
    for number in range(1, DEATHS + 1):
        death = made.die(100.0 + 14 * number, "LookupError")
        made.begin(100.0 + 14 * number + death.again_in_s)

        assert made.is_failing(100.0 + 14 * number) is (number == DEATHS)
        assert death.fails is (number == DEATHS)
    assert made.deaths == DEATHS


def test_five_deaths_in_more_than_a_minute_are_no_failure() -> None:
    made = restarts()
    for number in range(20):
        made.begin(100.0 + 16 * number)
        assert not made.die(101.0 + 16 * number, "LookupError").fails

    assert not made.is_failing(500.0)


def test_a_task_that_keeps_dying_stays_failed_however_seldom_it_is_tried() -> None:
    """At 30 s between two attempts it no longer dies five times in a minute."""
    made = restarts()
    _, now = died_at_once(made, 40)

    assert made.is_failing(now)
    assert made.state(now) is TaskState.FAILING


def test_a_minute_without_a_death_is_forgiven() -> None:
    made = restarts()
    _, now = died_at_once(made, 6)

    assert made.state(now + STEADY_S - 0.1) is TaskState.FAILING
    assert made.state(now + STEADY_S) is TaskState.RUNNING
    death = made.die(now + STEADY_S, "LookupError")
    assert (death.again_in_s, death.new, death.fails) == (0.1, True, False)
    assert made.deaths == 7


def test_a_minute_of_waiting_for_the_restart_is_not_forgiven() -> None:
    made = restarts()
    died_at_once(made, 5)
    made.die(110.0, "LookupError")

    assert made.is_failing(110.0 + 10 * STEADY_S)


def test_a_task_with_nothing_to_do_is_trusted_again_after_a_minute_as_well() -> None:
    made = restarts()
    _, now = died_at_once(made, 5)
    made.end(now)

    assert made.state(now) is TaskState.FAILING
    assert made.state(now + STEADY_S) is TaskState.IDLE


def test_a_fault_is_new_once_until_a_minute_went_well() -> None:
    made = restarts()
    assert made.die(100.0, "LookupError").new
    made.begin(100.1)
    assert not made.die(100.2, "LookupError").new
    made.begin(100.3)
    assert made.die(100.4, "OSError").new
    made.begin(100.5)
    assert made.die(100.5 + STEADY_S, "LookupError").new


def test_no_more_than_so_many_faults_are_new() -> None:
    """A fault whose text is another each time must not fill the log."""
    made = restarts()

    assert sum(made.die(100.0, f"fault {number}").new for number in range(1_000)) == 32
    assert made.fault == "fault 999"
