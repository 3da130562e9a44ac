"""The parser of server-sent events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.client.errors import UnexpectedAnswerError
from batkol.client.sse import LONGEST_CURSOR, LONGEST_RETRY_MS, Parser, ServerSentEvent

LINES = st.lists(
    st.sampled_from(["data: א", "data:b", "data", "event: partial", ": c", "id: 7", "retry: 5", "", ""]), max_size=12
)


def parsed(pieces: list[bytes]) -> tuple[list[ServerSentEvent], str, float | None]:
    parser = Parser()
    messages = [message for piece in pieces for message in parser.feed(piece)]
    return messages, parser.cursor, parser.retry_s


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.data())
def test_pieces_of_any_size_say_the_same_as_the_whole(lines: list[str], ending: str, data: st.DataObject) -> None:
    whole = "".join(line + ending for line in [*lines, ""]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    assert parsed([*pieces, b":\n"]) == parsed([whole, b":\n"])


def test_data_lines_are_joined_and_comments_and_empty_messages_say_nothing() -> None:
    text = b"\xef\xbb\xbf: listening\n\nevent: partial\nid: 4\ndata: a\ndata:  b\n\nevent: final\n\ndata: c\n\n"

    assert parsed([text])[0] == [ServerSentEvent("partial", "a\n b", "4"), ServerSentEvent("message", "c", "4")]


def test_a_carriage_return_alone_ends_a_line_too() -> None:
    assert parsed([b"data: a\rdata: b\r\rdata"])[0] == [ServerSentEvent("message", "a\nb", "")]


def test_a_cursor_counts_from_the_end_of_its_message_on_and_without_data_too() -> None:
    assert parsed([b"id: a-1\ndata: x\n\nid: a-2\n"])[1] == "a-1"
    assert parsed([b"id: a-1\ndata: x\n\nid: a-2\n\n"])[1] == "a-2"


@pytest.mark.parametrize(
    ("line", "seconds"), [(b"2500", 2.5), (b"-1", None), (b"1.5", None), ("٣".encode(), None), (b"999999999", 600.0)]
)
def test_the_time_to_wait_is_taken_where_it_is_a_whole_number_and_never_too_long(
    line: bytes, seconds: float | None
) -> None:
    assert parsed([b"retry: " + line + b"\n"])[2] == seconds
    assert LONGEST_RETRY_MS == 600_000


@pytest.mark.parametrize(
    "piece",
    [
        b"x" * 1_400_000,
        (b"data: " + b"y" * 1000 + b"\n") * 1400,
        b"id: " + b"1" * (LONGEST_CURSOR + 1) + b"\n",
        "id: א\n".encode(),
    ],
)
def test_what_has_no_end_or_is_no_cursor_is_refused(piece: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError, match="internal API"):
        parsed([piece[:700_000], piece[700_000:]])
