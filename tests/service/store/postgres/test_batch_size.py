import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.store.postgres.batch_size import PROBE_AFTER, BatchSize

MOST, LIMIT_S = 500, 2.0


def deliver(size: BatchSize, waiting: int, per_record_s: float, fixed_s: float = 0.0) -> tuple[float, int]:
    """Write to a database that takes so long for a statement; returns the seconds that it took, and the time-outs."""
    spent_s, overtimes = 0.0, 0
    while waiting:
        tried = min(waiting, size.records)
        takes_s = fixed_s + tried * per_record_s
        if takes_s > LIMIT_S:
            spent_s, overtimes = spent_s + LIMIT_S, overtimes + 1
            assert tried > 1, "it takes not even one"
            size.failed(tried)
        else:
            spent_s, waiting = spent_s + takes_s, waiting - tried
            size.written(tried, takes_s)
    return spent_s, overtimes


def test_a_hundred_rows_a_second_under_two_seconds_is_come_to_terms_with() -> None:
    size = BatchSize(MOST, LIMIT_S)
    _, overtimes = deliver(size, 600, 0.01)

    assert overtimes == 2, "500 and 250; not one more"
    assert size.records == 125


def test_once_the_database_is_quick_again_batches_are_whole_again() -> None:
    size = BatchSize(MOST, LIMIT_S)
    size.failed(2)
    deliver(size, 1000, 0.0001)

    assert size.records == MOST


@given(rate=st.floats(1.0, 100_000.0), fixed_s=st.floats(0.0, 0.9 * LIMIT_S), waiting=st.integers(1, 20_000))
def test_whatever_the_rate_most_of_the_time_is_spent_writing(rate: float, fixed_s: float, waiting: int) -> None:
    """But for finding the size: one probe that fails for each `PROBE_AFTER` batches at most."""
    per_record_s = min(1 / rate, LIMIT_S - fixed_s)
    size = BatchSize(MOST, LIMIT_S)
    batches_at_least = waiting / MOST
    _, overtimes = deliver(size, waiting, per_record_s, fixed_s)
    one_by_one = waiting / PROBE_AFTER

    assert overtimes <= 9 + max(batches_at_least, one_by_one)


def test_what_takes_as_long_for_one_as_for_all_is_written_by_more_than_one_in_the_end() -> None:
    size = BatchSize(MOST, LIMIT_S)
    size.failed(2)
    deliver(size, 10 * PROBE_AFTER * MOST, 0.0, fixed_s=0.9 * LIMIT_S)

    assert size.records == MOST


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_records_that_were_quick_say_little_of_many(count: int) -> None:
    size = BatchSize(MOST, LIMIT_S)
    size.failed(400)
    size.written(count, 0.1)

    assert size.records == 200
