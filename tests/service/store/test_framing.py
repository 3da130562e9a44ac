import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.store.framing import HEADER_BYTES, LONGEST, frame, frames

payloads = st.lists(st.binary(max_size=60), max_size=8)


def written(of: list[bytes]) -> bytes:
    return b"".join(frame(number, payload) for number, payload in enumerate(of, 1))


@given(payloads)
def test_what_was_written_is_read_in_order_with_its_numbers(of: list[bytes]) -> None:
    found = list(frames(written(of)))

    assert [(each.number, each.payload) for each in found] == list(enumerate(of, 1))
    assert [each.end for each in found][-1:] == [len(written(of))][: len(of)]


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
def test_a_changed_byte_ends_the_reading_before_it(of: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(written(of))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = list(frames(bytes(whole)))

    assert [each.payload for each in found] == of[: len(found)]
    assert all(each.end <= at for each in found)


@given(st.binary(max_size=300))
def test_anything_at_all_is_read_without_an_error(data: bytes) -> None:
    assert sum(HEADER_BYTES + len(each.payload) for each in frames(data)) <= len(data)


def test_a_page_of_zeros_holds_no_record() -> None:
    """What a file system shows after a loss of power."""
    assert [each.payload for each in frames(frame(1, b"one") + bytes(4096))] == [b"one"]


def test_a_payload_that_would_not_be_read_back_is_not_written() -> None:
    assert [each.payload for each in frames(frame(1, bytes(LONGEST)))] == [bytes(LONGEST)]
    with pytest.raises(ValueError, match="would not be read back"):
        frame(1, bytes(LONGEST + 1))
