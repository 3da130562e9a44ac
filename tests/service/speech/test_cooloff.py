from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.cooloff import COOL_OFF, CoolOff


def test_a_call_starts_out_allowed() -> None:
    assert CoolOff().allows(0.0)


def test_one_failure_is_forgiven_and_the_second_in_a_row_is_not() -> None:
    cool_off = CoolOff()

    cool_off.fail(100.0)
    assert cool_off.allows(100.0)
    cool_off.fail(101.0)
    assert not cool_off.allows(101.0)
    assert not cool_off.allows(130.9)
    assert cool_off.allows(131.0)


def test_a_final_in_between_forgives_what_was() -> None:
    cool_off = CoolOff()
    for now in range(10):
        cool_off.fail(float(now))
        cool_off.succeed()

    assert cool_off.allows(9.0)


def test_a_stream_that_asks_for_rest_gets_it_at_once() -> None:
    cool_off = CoolOff()
    cool_off.fail(5.0, at_once=True)

    assert not cool_off.allows(34.9)
    assert cool_off.allows(35.0)


def test_failing_again_after_the_rest_means_another_rest() -> None:
    cool_off = CoolOff()
    cool_off.fail(0.0, at_once=True)
    cool_off.fail(40.0)
    cool_off.fail(41.0)

    assert not cool_off.allows(70.9)
    assert cool_off.allows(71.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8))
def test_for_good_is_for_good_whatever_follows(later: list[tuple[bool, bool]]) -> None:
    """Another failure, already under way when the configuration was refused, must not set a date for a retry."""
    cool_off = CoolOff()
    cool_off.fail(0.0, for_good=True)
    for now, (at_once, good) in enumerate(later, start=1):
        cool_off.fail(float(now), at_once=at_once)
        if good:
            cool_off.succeed()

    assert not cool_off.allows(1e9)


def test_the_rest_is_half_a_minute() -> None:
    assert COOL_OFF == 30.0
