"""Bytes of an event stream become the data of its events, however they arrive."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.answering.sse import LONGEST, EndlessError, EventReader
from support.properties import few_by_day


def read(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [data for piece in pieces for data in reader.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b": ping\n\n: ping\n\ndata: a\n\n", [b"a"]),
        (b"event: error\nid: 7\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"event: nothing\n\n", []),
        (b"dataset: a\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data: a\n\ndata: cut off", [b"a"]),
        (b"data: a\n\ndata: cut off\n", [b"a"]),
        ("data: שלום\u2028\n\n".encode(), ["שלום\u2028".encode()]),
    ],
)
def test_events_are_read_whole_and_byte_by_byte(stream: bytes, events: list[bytes]) -> None:
    assert read(stream) == events
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events


LINES = st.lists(
    st.sampled_from([b"data: a", b"data:", "data: של".encode(), b"data", b"", b": c", b"event: x", b"x"]), max_size=20
)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.randoms(use_true_random=False))
@few_by_day(50)
def test_the_place_of_a_cut_makes_no_difference(lines: list[bytes], end: bytes, draw: random.Random) -> None:
    stream = b"".join(line + end for line in lines)
    cuts = sorted(draw.randint(0, len(stream)) for _ in range(5))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert read(*pieces) == read(stream) == read(stream.replace(end, b"\n"))


@pytest.mark.parametrize(
    "piece",
    [b"data: " + b"a" * 999, b"data: " + b"a" * 999 + b"\n", b"data\n" * 200],
    ids=["a line", "an event", "lines"],
)
def test_what_has_no_end_is_given_up(piece: bytes) -> None:
    reader, fed = EventReader(), 0

    def feed() -> None:
        nonlocal fed
        while fed < 6 * LONGEST:
            fed += len(piece)
            list(reader.feed(piece))

    with pytest.raises(EndlessError, match="has no end") as raised:
        feed()

    assert "aaa" not in str(raised.value)
    assert fed <= 5 * LONGEST + len(piece)  # a line "data" counts as one byte of data
