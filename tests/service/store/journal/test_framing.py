import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.store.journal.framing import HEADER_BYTES, LONGEST, Frame, frame, frames, unframed

payloads = st.lists(st.binary(max_size=60), max_size=8)


def written(of: list[bytes]) -> bytes:
    return b"".join(frame(number, payload) for number, payload in enumerate(of, 1))


@given(payloads)
def test_what_was_written_is_read_in_order_with_its_numbers(of: list[bytes]) -> None:
    found = list(frames(written(of)))

    assert [tuple(each) for each in found] == list(enumerate(of, 1))


@given(payloads, st.data())
def test_of_a_file_that_ends_anywhere_the_whole_records_are_read_and_no_other(
    of: list[bytes], data: st.DataObject
) -> None:
    whole = written(of)
    end = data.draw(st.integers(0, len(whole)))
    found = list(frames(whole[:end]))

    assert [each.payload for each in found] == of[: len(found)]
    missing = of[len(found) :]
    assert not missing or end < sum(HEADER_BYTES + len(payload) for payload in of[: len(found) + 1])


@given(payloads.filter(bool), st.data())
def test_a_changed_byte_costs_the_record_that_it_is_in_and_no_other(of: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(written(of))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    ends = [sum(HEADER_BYTES + len(each) for each in of[:count]) for count in range(1, len(of) + 1)]
    hit = next(index for index, end in enumerate(ends) if at < end)

    assert [tuple(each) for each in frames(bytes(whole))] == [
        (number, payload) for number, payload in enumerate(of, 1) if number != hit + 1
    ]


@given(payloads, st.binary(max_size=50), st.integers(0, 8))
def test_what_lies_between_records_is_passed_over(of: list[bytes], rubbish: bytes, place: int) -> None:
    data = written(of[:place]) + rubbish + b"".join(frame(n, each) for n, each in enumerate(of[place:], place + 1))

    assert [each.payload for each in frames(data)] == of


def test_a_record_is_known_by_its_number_too() -> None:
    assert unframed(frame(7, b"seven"), 7) == Frame(7, b"seven")
    assert unframed(frame(7, b"seven"), 8) is None
    assert unframed(frame(7, b"seven")[:-1], 7) is None
    assert unframed(b"", 7) is None


@given(st.binary(max_size=300))
def test_anything_at_all_is_read_without_an_error(data: bytes) -> None:
    assert sum(HEADER_BYTES + len(each.payload) for each in frames(data)) <= len(data)


def test_a_page_of_zeros_holds_no_record() -> None:
    """What a file system shows after a loss of power."""
    assert [each.payload for each in frames(frame(1, b"one") + bytes(4096))] == [b"one"]


def test_a_payload_that_would_not_be_read_back_is_not_written() -> None:
    assert [each.payload for each in frames(frame(1, bytes(LONGEST)))] == [bytes(LONGEST)]
    with pytest.raises(ValueError, match="longer than the limit"):
        frame(1, bytes(LONGEST + 1))
