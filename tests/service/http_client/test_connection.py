"""One connection of the answerer's: parts gather while no one waits, and what is not HTTP ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from batkol.http_client.connection import HttpConnection
from support.time.waiting import until

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"


@asynccontextmanager
async def connected(serve: Serve) -> AsyncIterator[HttpConnection]:
    ended = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()
            ended.set()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server:
        loop = asyncio.get_running_loop()
        port = server.sockets[0].getsockname()[1]
        _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", port)
        try:
            async with asyncio.timeout(20):
                yield connection
        finally:
            connection.abort()
            await ended.wait()


def saying(*answers: bytes) -> Serve:
    """Answer each request with the next of them, and close then."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return serve


async def body(connection: HttpConnection) -> bytes:
    found = b""
    while piece := await connection.read():
        found += piece
    return found


async def test_parts_that_come_while_no_one_waits_come_at_once() -> None:
    more, written = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"1\r\na\r\n")
        await more.wait()
        for _ in range(3):
            writer.write(b"1\r\nb\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        written.set()
        await reader.read()

    async with connected(serve) as connection:
        await connection.ask(ASKED)
        assert await connection.read() == b"a"
        more.set()
        await written.wait()
        assert await connection.read() == b"bbb"


async def test_a_connection_can_be_used_again_after_a_whole_response() -> None:
    async with connected(saying(WHOLE, CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", WHOLE)) as connection:
        found = []
        for _ in range(3):
            await connection.ask(ASKED)
            found.append(await body(connection))
            assert connection.reusable

    assert found == [b"ab", b"abc", b"ab"]


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab", b"HTTP/1.0 200 OK\r\n\r\nab",
     b"HTTP/1.1 200 OK\r\n\r\nab", WHOLE + b"more"],
    ids=["close", "http 1.0", "no length", "more than its length"],
)  # fmt: skip
async def test_a_connection_is_not_used_again_after(answer: bytes) -> None:
    async with connected(saying(answer)) as connection:
        await connection.ask(ASKED)
        assert await body(connection) == b"ab"
        assert not connection.reusable


async def test_preliminary_responses_are_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with connected(saying(early + early + WHOLE)) as connection:
        await connection.ask(ASKED)

        assert (connection.status, await body(connection)) == (200, b"ab")
        assert [name for name, _ in connection.headers] == [b"Content-Length"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200", b"nonsense", bytes(range(256)),
     b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
     ],
    ids=lambda answer: repr(answer[:20]),
)  # fmt: skip
async def test_what_is_no_response_is_an_error(answer: bytes) -> None:
    async with connected(saying(answer)) as connection:
        with pytest.raises(httpx.RemoteProtocolError):
            await connection.ask(ASKED)
        assert connection.closed


async def test_a_head_without_an_end_is_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000)(reader, writer)
        await reader.read()  # until the client leaves

    async with connected(serve) as connection:
        with pytest.raises(httpx.RemoteProtocolError, match="head of the response has no end"):
            await connection.ask(ASKED)


async def test_a_server_writes_no_further_than_the_sockets_let_it_while_no_one_waits() -> None:
    part, parts, written = 1 << 20, 32, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (part * parts))
        for _ in range(parts):
            writer.write(bytes(part))
            await writer.drain()
            written += 1

    async with connected(serve) as connection:
        await connection.ask(ASKED)
        found = len(await connection.read())
        for _ in range(20 * parts):
            await asyncio.sleep(0)
        assert written < parts
        assert found + len(await body(connection)) == part * parts


@pytest.mark.parametrize(
    "answer",
    [CHUNKED + b"3\r\nab", CHUNKED + b"2\r\nab\r\n", WHOLE.replace(b": 2", b": 9")],
    ids=["chunk", "end", "length"],
)  # fmt: skip
async def test_a_body_that_breaks_off_is_an_error_after_what_came(answer: bytes) -> None:
    async with connected(saying(answer)) as connection:
        await connection.ask(ASKED)
        assert await connection.read() == b"ab"
        with pytest.raises(httpx.TransportError):
            await connection.read()
        assert not connection.reusable


@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"], ids=["nothing", "a response"])
async def test_a_connection_at_rest_ends_when_the_server_closes_it_or_speaks_unasked(unasked: bytes) -> None:
    rests = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(WHOLE)(reader, writer)
        await rests.wait()
        if unasked:
            writer.write(unasked)
            await reader.read()

    async with connected(serve) as connection:
        await connection.ask(ASKED)
        await body(connection)
        assert connection.reusable
        connection.rest()
        rests.set()
        await until(lambda: connection.closed)

        assert not connection.reusable
        with pytest.raises(httpx.TransportError):
            await connection.ask(ASKED)
