from hypothesis import given
from hypothesis import strategies as st

from batkol.store.journal.ages import APART_S, MOST, Ages


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_age_is_that_of_the_oldest_that_waits() -> None:
    clock = Clock()
    ages = Ages(clock)
    for number in range(1, 4):
        ages.note(number)
        clock.now += 10.0

    assert [ages.age_s(number) for number in (1, 2, 3)] == [30.0, 20.0, 10.0]
    ages.forget(2)
    assert ages.age_s(3) == 10.0


def test_a_record_after_a_long_quiet_is_young() -> None:
    clock = Clock()
    ages = Ages(clock)
    ages.note(1)
    ages.forget(1)
    clock.now += 3600.0
    ages.note(2)

    assert ages.age_s(2) == 0.0


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=300), st.data())
def test_no_age_is_too_short_and_none_much_too_long(pauses: list[float], data: st.DataObject) -> None:
    clock = Clock()
    ages = Ages(clock)
    at: list[float] = []
    for number, pause in enumerate(pauses, 1):
        clock.now += pause
        ages.note(number)
        at.append(clock.now)
        if data.draw(st.booleans()):
            ages.forget(data.draw(st.integers(0, number - 1)))
    last = len(at)

    assert clock.now - at[last - 1] <= ages.age_s(last) < clock.now - at[last - 1] + APART_S


def test_an_outage_of_days_takes_bounded_memory_and_the_oldest_keeps_its_age() -> None:
    clock = Clock()
    ages = Ages(clock)
    for number in range(1, 20 * MOST):
        ages.note(number)
        clock.now += 1.0

    assert ages.age_s(1) == clock.now - 1000.0
    assert len(ages._numbers) <= MOST
