"""Answers to clients of HTTP/1.0, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from batkol.web.server import listening
from support.http.raw_client import speaking

PIECES = [b"one\n", b"", b"two\n", b"x" * 100_000, b"\nlast"]
BODY = b"".join(PIECES)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers in pieces, with a length where the path asks for it; /broken breaks off."""
    await receive()
    headers = [(b"X-Kind", b"test")]
    if scope["path"] == "/length":
        headers.append((b"Content-Length", b"%d" % len(BODY)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in PIECES:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if scope["path"] == "/broken":
            return
    await send({"type": "http.response.body", "more_body": False})


@asynccontextmanager
async def answered(request: bytes) -> AsyncIterator[tuple[bytes, bytes]]:
    async with listening(application, "127.0.0.1", 0) as port, speaking(port) as raw:  # type: ignore[arg-type]
        await raw.send(request)
        head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
        yield head.lower(), body


@pytest.mark.parametrize("more", [b"", b"Connection: keep-alive\r\n"])
async def test_a_body_of_unknown_length_comes_without_chunks_and_ends_with_the_connection(more: bytes) -> None:
    async with answered(b"GET / HTTP/1.0\r\n" + more + b"\r\n") as (head, body):
        assert b"transfer-encoding" not in head
        assert b"content-length" not in head
        assert b"\r\nconnection: close" in head
        assert body == BODY


async def test_a_body_of_known_length_comes_with_it() -> None:
    async with answered(b"GET /length HTTP/1.0\r\n\r\n") as (head, body):
        assert b"content-length: %d" % len(BODY) in head
        assert b"transfer-encoding" not in head
        assert body == BODY


async def test_head_has_no_body() -> None:
    async with answered(b"HEAD / HTTP/1.0\r\n\r\n") as (head, body):
        assert b"transfer-encoding" not in head
        assert body == b""


async def test_an_answer_that_breaks_off_ends_with_the_connection() -> None:
    async with answered(b"GET /broken HTTP/1.0\r\n\r\n") as (_, body):
        assert body == PIECES[0]


async def test_a_client_of_1_1_still_gets_chunks() -> None:
    async with answered(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") as (head, body):
        assert b"transfer-encoding: chunked" in head
        assert body.startswith(b"4\r\none\n\r\n4\r\ntwo\n\r\n")
        assert body.endswith(b"5\r\n\nlast\r\n0\r\n\r\n")
