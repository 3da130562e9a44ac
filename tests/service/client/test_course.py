import math

import pytest

from batkol.client.course import LONGEST_ASKED_S, LONGEST_S, SHORTEST_S, Course
from batkol.client.errors import BusyError, ServiceUnreachableError

GONE = ServiceUnreachableError("gone")


def busy(seconds: float | None) -> BusyError:
    return BusyError("busy", status=503, retry_after_s=seconds)


def test_waits_grow_and_have_an_end() -> None:
    course, waits, now = Course(math.inf, first_s=1.0), [], 0.0
    for _ in range(200):
        waits.append(course.wait_s(GONE, now))
        now += waits[-1]

    assert all(bound / 2 < wait <= bound for wait, bound in zip(waits, [1, 2, 4, 8], strict=False))
    assert all(LONGEST_S / 2 < wait <= LONGEST_S for wait in waits[4:])


def test_it_is_given_up_when_the_next_attempt_would_come_too_late() -> None:
    course = Course(10.0, first_s=1.0)

    assert course.wait_s(GONE, 100.0) <= 1.0
    assert course.wait_s(GONE, 105.0) <= 2.0
    with pytest.raises(ServiceUnreachableError, match="gone"):
        course.wait_s(GONE, 109.9)


def test_with_no_time_the_first_failure_is_the_last() -> None:
    with pytest.raises(ServiceUnreachableError):
        Course(0.0, first_s=0.0).wait_s(GONE, 5.0)


def test_once_it_was_reached_the_time_begins_anew_and_the_waits_go_on_growing() -> None:
    """A service that lets everybody in and ends at once is not asked in a circle."""
    course = Course(10.0, first_s=1.0)
    for begin in (0.0, 100.0, 200.0):
        wait = course.wait_s(GONE, begin)
        course.reached()
    assert wait > 2.0

    course.worked()
    assert course.wait_s(GONE, 300.0) <= 1.0


@pytest.mark.parametrize(
    ("asked", "least"), [(7.0, 7.0), (None, 0.0), (1e9, LONGEST_ASKED_S), (math.inf, LONGEST_ASKED_S)]
)
def test_a_service_gets_the_time_that_it_asks_for_within_bounds(asked: float | None, least: float) -> None:
    wait = Course(math.inf).wait_s(busy(asked), 0.0)

    assert least <= wait <= max(least, LONGEST_S)


def test_a_service_that_asks_for_more_time_than_there_is_is_given_up_at_once() -> None:
    with pytest.raises(BusyError) as raised:
        Course(60.0).wait_s(busy(100.0), 0.0)

    assert raised.value.retry_after_s == 100.0


@pytest.mark.parametrize("first_s", [0.0, 1e9])
def test_no_service_can_have_it_hammer_or_sleep(first_s: float) -> None:
    assert SHORTEST_S / 2 <= Course(math.inf, first_s).wait_s(GONE, 0.0) <= 30.0
