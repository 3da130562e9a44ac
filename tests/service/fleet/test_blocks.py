from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.fleet.blocks import LONGEST, Block, BlockReader, EndlessEventError

FEED = (
    b": listening\nretry: 2000\nid: 0123456789abcdef-3\n\n"
    b'id: 0123456789abcdef-4\nevent: final\ndata: {"type":"final"}\n\n'
    b": still here\n\n"
    b'event: gap\ndata: {"type":"gap"}\n\n'
    b'id: 0123456789abcdef-9\nevent: dtmf\ndata: {"type":"dtmf"}\n\n'
)
BLOCKS = [
    Block("0123456789abcdef", 3, b""),
    Block("0123456789abcdef", 4, b'event: final\ndata: {"type":"final"}\n\n'),
    Block("", 0, b'event: gap\ndata: {"type":"gap"}\n\n'),
    Block("0123456789abcdef", 9, b'event: dtmf\ndata: {"type":"dtmf"}\n\n'),
]


@given(st.lists(st.integers(0, len(FEED)), max_size=12))
def test_pieces_of_any_size_give_the_same_events(cuts: list[int]) -> None:
    reader = BlockReader()
    places = [0, *sorted(cuts), len(FEED)]
    found = [block for begin, end in pairwise(places) for block in reader.feed(FEED[begin:end])]

    assert found == BLOCKS


def test_an_event_knows_its_data() -> None:
    assert [block.data for block in BLOCKS] == [b"", b'{"type":"final"}', b'{"type":"gap"}', b'{"type":"dtmf"}']


@given(st.binary())
def test_any_bytes_are_read(content: bytes) -> None:
    blocks = list(BlockReader().feed(content + b"\n\n"))
    assert len(blocks) <= content.count(b"\n") + content.count(b"\r") + 2


def test_an_event_without_an_end_is_refused() -> None:
    with pytest.raises(EndlessEventError):
        BlockReader().feed(b"x" * (LONGEST + 1))


@pytest.mark.parametrize("digits", [19, 5000])
def test_a_number_that_no_cursor_can_hold_moves_no_position(digits: int) -> None:
    found = BlockReader().feed(b"id: 0123456789abcdef-" + b"9" * digits + b"\nevent: dtmf\ndata: {}\n\n")

    assert [block.boot for block in found] == [""]
