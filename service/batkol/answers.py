"""Answers of other parties' HTTP servers, read within limits of time and size, and never compressed.

A client library has a time-out for each read, collects an answer of any length, and decompresses what it was not
configured to refuse: a server that drips, floods or sends a gzip bomb then costs the asking process its time or its
memory. Works for httpx, and for httpx2, which the Kubernetes client brings along.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Protocol

import msgspec

from batkol.errors import BatkolError

PLAIN: Final = {"Accept-Encoding": "identity"}
"""The header that asks for an answer without compression."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The errors that msgspec raises for a body that is not the expected JSON. Their texts may quote the body."""


class AnswerError(BatkolError):
    """An answer breaks a limit. The text is a clause about the answer ("it is …"), and quotes nothing of it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Streamed(Protocol):
    """A response of httpx or httpx2 whose body has not been read."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def aiter_raw(self) -> AsyncIterator[bytes]: ...


class Client(Protocol):
    """An `AsyncClient` of httpx or httpx2."""

    def stream(self, *args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Streamed]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def exchange(client: Client, method: str, url: str, *, within_s: float, largest: int, **asked: Any) -> Answer:
    """Send a request and return the whole answer; `asked` is for the library's `stream`.

    `within_s` is for everything, in seconds, the connection included; `largest` in bytes of the body. Redirects are for
    the caller to refuse. Raises `AnswerError`, `TimeoutError`, and what the library raises. Cancelling it closes the
    connection.
    """
    headers = {**asked.pop("headers", {}), **PLAIN}
    async with asyncio.timeout(within_s), client.stream(method, url, headers=headers, **asked) as response:
        return Answer(response.status_code, response.headers, await body(response, largest))


async def body(response: Streamed, largest: int) -> bytes:
    """Read a body as it was sent, of at most `largest` bytes. It has no time-out. Raises `AnswerError`."""
    check_plain(response)
    received = bytearray()
    async for piece in response.aiter_raw():
        received += piece
        if len(received) > largest:
            raise AnswerError(f"the answer is longer than {largest} bytes", response.status_code)
    return bytes(received)


def check_plain(response: Streamed) -> None:
    """Refuse a compressed answer before anything of it is inflated. Raises `AnswerError`."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
        raise AnswerError(
            "the answer is compressed although the request asked for an uncompressed answer", response.status_code
        )


def no_cookies() -> CookieJar:
    """Return a jar that keeps nothing: a server could fill a client's memory and every later request with cookies."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
