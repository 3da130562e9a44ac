"""Answers of the API server, and the lines of its watch, read within limits of size and time.

A server that floods or drips costs one request, and no call its memory or its time on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import httpx2

LARGEST_ANSWER: Final = 4 << 20
"""Bytes of an answer, or of one line of it. A ConfigMap holds 1 MiB, and JSON writes quotes and line ends as two."""

LARGEST_REFUSAL: Final = 64 << 10

LINE_S: Final = 10.0
"""Seconds that a line may take from its first byte to its last."""


class BrokenAnswerError(Exception):
    """An answer is not read to its end; the text completes the sentence: the server sent …."""


async def body(response: httpx2.Response, most: int) -> bytes:
    """Read an answer as it was sent. Raises `BrokenAnswerError`. It has no time limit: the caller gives it one."""
    content = bytearray()
    async with aclosing(_pieces(response)) as pieces:
        async for piece in pieces:
            content += piece
            _check_size(len(content), most)
    return bytes(content)


async def lines(response: httpx2.Response, *, silence_s: float, line_s: float = LINE_S) -> AsyncGenerator[bytes, None]:
    """Yield lines without their ends, empty ones left out.

    httpx2's own also ends lines at U+0085, which JSON may have inside a text. Raises `BrokenAnswerError`, and
    `TimeoutError` when no line has come for `silence_s`.
    """
    now = asyncio.get_running_loop().time
    rest, silent_since, begun = bytearray(), now(), 0.0
    async with aclosing(_pieces(response)) as pieces:
        while True:
            try:
                async with asyncio.timeout_at(begun + line_s if rest else silent_since + silence_s):
                    piece = await anext(pieces, None)
            except TimeoutError:
                if rest:
                    raise BrokenAnswerError(f"a line without an end after {line_s:g} s") from None
                raise
            if piece is None:
                return
            begun = begun if rest else now()
            *ends, last = piece.split(b"\n")
            for end in ends:
                rest += end
                _check_size(len(rest), LARGEST_ANSWER)
                line = bytes(rest)
                rest.clear()
                begun = now()
                if line:
                    yield line
                    silent_since = now()
            rest += last
            _check_size(len(rest), LARGEST_ANSWER)


async def _pieces(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    async for piece in response.aiter_raw():
        yield piece


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise BrokenAnswerError(f"more than {most >> 10} KiB at once")
