"""The client of the internal API, against bytes that a socket really sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.events.events import AnyEvent, KeyPressed, PartialText, encode
from batkol.simulators.client.internal_api import InternalApiError, Parser, ServerSentEvent, follow, following, status

PARTIAL = PartialText(
    call_sid="CA1", seq=2, at=1.5, utterance_id="CA1-0", index=0, text="שלום\nתודה", stability=0.5, number=1
)
KEY = KeyPressed(call_sid="CA1", seq=3, at=2.0, digit="5")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
LINES = st.lists(
    st.sampled_from(["data: א", "data:b", "data", "event: partial", ": c", "id: 7", "retry: 5", "", ""]), max_size=12
)


def written(event: AnyEvent, kind: str) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, kind.encode(), encode(event))


def parsed(pieces: list[bytes]) -> list[ServerSentEvent]:
    parser = Parser()
    return [message for piece in pieces for message in parser.feed(piece)]


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[str]:
    """Serve those bytes to whoever asks, and then close."""

    answers: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has read enough
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.add(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*answers)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.data())
def test_pieces_of_any_size_say_the_same_as_the_whole(lines: list[str], ending: str, data: st.DataObject) -> None:
    whole = "".join(line + ending for line in [*lines, ""]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    assert parsed([*pieces, b":\n"]) == parsed([whole, b":\n"])


def test_data_lines_are_joined_and_comments_and_empty_messages_say_nothing() -> None:
    text = b"\xef\xbb\xbf: listening\n\nevent: partial\nid: 4\ndata: a\ndata:  b\n\nevent: final\n\ndata: c\n\n"

    assert parsed([text]) == [ServerSentEvent("partial", "a\n b", "4"), ServerSentEvent("message", "c", "4")]


def test_a_carriage_return_alone_ends_a_line_too() -> None:
    assert parsed([b"data: a\rdata: b\r\rdata"]) == [ServerSentEvent("message", "a\nb", "")]


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(InternalApiError, match="internal API"):
        parsed([b"x" * 700_000, b"x" * 700_000])


async def test_events_arrive_as_they_were_published() -> None:
    """In small pieces, with comments between them; what this version does not know is passed over."""
    stream = b": listening\n\n" + written(PARTIAL, "partial") + b"event: from.the.future\ndata: {}\n\n: still\n\n"
    stream += written(KEY, "dtmf")

    async with answering(HEAD, *(stream[i : i + 7] for i in range(0, len(stream), 7))) as url:
        assert [event async for event in follow(url)] == [PARTIAL, KEY]


async def test_an_event_that_cannot_be_read_is_told_and_not_passed_over() -> None:
    async with answering(HEAD, b'event: partial\ndata: {"type":"partial"}\n\n') as url:
        with pytest.raises(InternalApiError, match="`partial` event"):
            [event async for event in follow(url)]


async def test_a_stream_that_breaks_off_is_told_apart_from_one_that_ends() -> None:
    broken = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked") + b"ff\r\n: half"

    async with answering(broken) as url:
        with pytest.raises(InternalApiError, match="broke off"):
            [event async for event in follow(url)]


@pytest.mark.parametrize(
    ("code", "hint"), [(b"401", "--api-token"), (b"403", "INTERNAL_HOSTS"), (b"404", "not live"), (b"500", "log")]
)
async def test_a_refusal_says_what_to_do(code: bytes, hint: str) -> None:
    refusal = b"HTTP/1.1 " + code + b" No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    async with answering(refusal) as url:
        with pytest.raises(InternalApiError, match=hint):
            async with following(url):
                pass


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8081", "http://[", ""])
async def test_a_service_that_is_not_there_is_a_sentence(url: str) -> None:
    with pytest.raises(InternalApiError, match="cannot be reached"):
        await status(url)
    with pytest.raises(InternalApiError, match="cannot be reached"):
        [event async for event in follow(url)]


async def test_a_status_that_is_none_is_a_sentence() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n<html/>") as url:
        with pytest.raises(InternalApiError, match="Is the URL right"):
            await status(url)


async def test_the_status_is_read_as_far_as_it_is_needed() -> None:
    body = b'{"version":"9","draining":true,"active_calls":3,"max_calls":4,"new":[1],"recognizer":{"streams":2}}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)

    async with answering(head + body) as url:
        state = await status(url)

    assert (state.version, state.draining, state.active_calls, state.recognizer.streams) == ("9", True, 3, 2)
    assert state.live.flags_revision is None
