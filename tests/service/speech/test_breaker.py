import hypothesis.strategies as st
import pytest
from hypothesis import given

from batkol.speech.breaker import Breaker, BreakerState
from support.properties import few_by_day

REST, LONGEST, PATIENCE, WITHIN, FAILURES = 10.0, 120.0, 15.0, 30.0, 5
ACTIONS = ["ask", "succeed", "fail", "fail", "fail", "grave"]
STORIES = st.lists(st.tuples(st.floats(0, 50), st.sampled_from(ACTIONS)), max_size=80)


def opened(*, grave: bool = False) -> Breaker:
    """A breaker that opened at 0."""
    breaker = Breaker()
    for _ in range(1 if grave else FAILURES):
        breaker.fail(0, "unavailable", grave=grave)
    return breaker


def act(breaker: Breaker, action: str, now: float) -> bool:
    """Do one thing; tell whether it got leave to ask."""
    match action:
        case "ask":
            return breaker.allows(now)
        case "succeed":
            breaker.succeed(now)
        case _:
            breaker.fail(now, action, grave=action == "grave")
    return False


def test_a_fresh_one_is_closed_and_lets_everybody_ask() -> None:
    breaker = Breaker()

    assert all(breaker.allows(now) for now in range(5))
    assert (breaker.state, breaker.reason, breaker.since, breaker.retry_at) == (BreakerState.CLOSED, "", None, None)


def test_the_fifth_failure_within_thirty_seconds_opens_it_and_says_why() -> None:
    breaker = Breaker()
    for now in (0, 10, 20, 29):
        breaker.fail(now, "unavailable")
    assert breaker.allows(29)

    breaker.fail(30, "quota")

    assert not breaker.allows(30)
    assert (breaker.state, breaker.reason, breaker.since, breaker.retry_at) == (BreakerState.OPEN, "quota", 30, 40)
    assert not breaker.grave


def test_four_old_failures_and_a_new_one_do_not() -> None:
    breaker = Breaker()
    for now in (0, 10, 20, 29, 30.1):
        breaker.fail(now, "unavailable")

    assert breaker.allows(30.1)
    breaker.fail(39, "unavailable")  # 10 … 39
    assert breaker.state is BreakerState.OPEN


def test_a_success_between_forgives() -> None:
    breaker = Breaker()
    for now in range(4):
        breaker.fail(now, "unavailable")
    breaker.succeed(4)
    for now in range(5, 9):
        breaker.fail(now, "unavailable")

    assert breaker.state is BreakerState.CLOSED


def test_a_grave_failure_opens_it_at_once() -> None:
    breaker = opened(grave=True)

    assert (breaker.state, breaker.grave) == (BreakerState.OPEN, True)


def test_after_the_rest_one_asks_for_all_and_its_success_lets_everybody() -> None:
    breaker = opened()

    assert [breaker.allows(now) for now in (9.9, 10, 10, 11, 24.9)] == [False, True, False, False, False]
    assert (breaker.state, breaker.reason) == (BreakerState.HALF_OPEN, "unavailable")
    breaker.succeed(24.9)

    assert (breaker.state, breaker.reason, breaker.since) == (BreakerState.CLOSED, "", 24.9)
    assert breaker.allows(24.9)
    assert breaker.allows(24.9)


def test_a_probe_that_never_comes_back_is_given_to_the_next() -> None:
    breaker = opened()
    assert breaker.allows(10)
    assert breaker.retry_at == 10 + PATIENCE

    assert [breaker.allows(now) for now in (24.9, 25, 25, 39.9, 40)] == [False, True, False, False, True]


def test_each_failed_probe_doubles_the_rest_up_to_the_longest_and_a_success_resets_it() -> None:
    breaker = opened()
    rests, now = [], 0.0
    for _ in range(6):
        assert breaker.retry_at is not None
        rests.append(breaker.retry_at - now)
        now = breaker.retry_at
        assert breaker.allows(now)
        breaker.fail(now, "unavailable")
    assert rests == [10, 20, 40, 80, 120, 120]

    breaker.succeed(now)
    for _ in range(FAILURES):
        breaker.fail(now, "unavailable")
    assert breaker.retry_at == now + REST


def test_those_who_asked_before_it_opened_do_not_put_off_the_next_try() -> None:
    breaker = opened()
    for now in range(1, 10):
        breaker.fail(now, "deadline")

    assert breaker.retry_at == REST
    assert breaker.reason == "unavailable"


def test_an_open_one_learns_that_its_reason_is_grave_once() -> None:
    breaker = opened()
    breaker.fail(3, "unauthenticated", grave=True)
    breaker.fail(5, "unauthenticated", grave=True)

    assert (breaker.reason, breaker.grave, breaker.since) == ("unauthenticated", True, 3)


def test_each_transition_is_told_once() -> None:
    breaker = Breaker()
    told: list[tuple[BreakerState, str]] = []
    breaker.on_change = lambda changed: told.append((changed.state, changed.reason))
    for now in range(8):
        breaker.fail(now, "unavailable")
    for now in (14, 14, 15):
        breaker.allows(now)
    breaker.succeed(16)
    breaker.succeed(17)

    assert told == [
        (BreakerState.OPEN, "unavailable"),
        (BreakerState.HALF_OPEN, "unavailable"),
        (BreakerState.CLOSED, ""),
    ]


@few_by_day(30)
@given(STORIES)
def test_there_is_never_more_than_one_probe_out(story: list[tuple[float, str]]) -> None:
    """Between two leaves to ask that are not from CLOSED lies a verdict and a rest, or the patience."""
    breaker, now = Breaker(), 0.0
    probe: float | None = None
    for wait, action in story:
        now += wait
        closed = breaker.state is BreakerState.CLOSED
        if act(breaker, action, now) and not closed:
            assert probe is None or now - probe >= PATIENCE
            probe = now
        elif action != "ask":
            probe = None
            assert not breaker.allows(now) or breaker.state is not BreakerState.OPEN


@few_by_day(30)
@given(STORIES)
def test_it_always_tries_again(story: list[tuple[float, str]]) -> None:
    breaker, now = Breaker(), 0.0
    for wait, action in story:
        now += wait
        act(breaker, action, now)

    retry_at = now if breaker.retry_at is None else breaker.retry_at
    assert retry_at <= now + LONGEST
    assert breaker.allows(max(now, retry_at))


@few_by_day(30)
@given(STORIES)
def test_a_success_always_closes_it(story: list[tuple[float, str]]) -> None:
    breaker, now = Breaker(), 0.0
    for wait, action in story:
        now += wait
        act(breaker, action, now)
    breaker.succeed(now)

    assert (breaker.state, breaker.reason, breaker.grave) == (BreakerState.CLOSED, "", False)
    assert breaker.allows(now)
    assert breaker.allows(now)


@few_by_day(30)
@given(STORIES)
def test_a_grave_failure_never_leaves_it_closed(story: list[tuple[float, str]]) -> None:
    breaker, now = Breaker(), 0.0
    for wait, action in story:
        now += wait
        act(breaker, action, now)
    was_closed = breaker.state is BreakerState.CLOSED
    breaker.fail(now, "unauthenticated", grave=True)

    assert not was_closed or not breaker.allows(now)
    assert breaker.state is BreakerState.OPEN
    assert breaker.grave


@few_by_day(30)
@given(st.lists(st.floats(WITHIN / (FAILURES - 1) + 0.01, 100), max_size=60))
def test_failures_spread_wider_never_open_it(waits: list[float]) -> None:
    breaker, now = Breaker(), 0.0
    for wait in waits:
        now += wait
        breaker.fail(now, "unavailable")

        assert breaker.state is BreakerState.CLOSED


@few_by_day(30)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_it_opens_exactly_when_five_failures_lie_within_thirty_seconds(waits: list[float]) -> None:
    breaker, times, now = Breaker(), list[float](), 0.0
    for wait in waits:
        now += wait
        times.append(now)
        breaker.fail(now, "unavailable")
        if breaker.state is BreakerState.OPEN:
            break

    windows = [times[i] - times[i - FAILURES + 1] <= WITHIN for i in range(FAILURES - 1, len(times))]
    assert (breaker.state is BreakerState.OPEN) == any(windows)


@pytest.mark.parametrize("failures", [1, 2])
def test_its_numbers_can_be_set(failures: int) -> None:
    breaker = Breaker(failures=failures, within=1, rest=2, longest=3, patience=4)
    for _ in range(failures):
        assert breaker.state is BreakerState.CLOSED
        breaker.fail(0, "x")
    assert breaker.retry_at == 2
    assert breaker.allows(2)
    assert breaker.retry_at == 6
    breaker.fail(3, "x")
    assert breaker.retry_at == 6
