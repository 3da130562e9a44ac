"""The first messages of a socket, in virtual time: what is waited for, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from batkol.errors import PeerError
from batkol.twilio.messages import Malformation
from batkol.web.opening import START_TIMEOUT, LateStartError, MediaOpening, UnreadableStartError
from support.twilio import dialing

pytestmark = pytest.mark.virtual_time

NO_TEXTS = dialing.start("CA1", {"tenant": "a"}).replace('"a"', '["a"]')
"""A `start` that cannot be read: its parameter is no text."""


class Script:
    """A socket that has these messages, and then none."""

    def __init__(self, messages: Sequence[str | bytes]) -> None:
        self._messages = list(messages)

    async def receive(self) -> dict[str, Any]:
        if not self._messages:
            await asyncio.Event().wait()
        message = self._messages.pop(0)
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def send_text(self, _: str) -> None:
        raise AssertionError("nothing is answered before the start")

    async def close(self, _: int) -> None:
        raise AssertionError("who reads the opening closes")


async def opened(*messages: str | bytes) -> tuple[type[PeerError] | str, float, list[Malformation]]:
    """Return the SID of the stream, or the error; with the seconds that it took, and what could not be read."""
    kinds: list[Malformation] = []
    begun = asyncio.get_running_loop().time()
    try:
        stream = await MediaOpening(kinds.append).stream(Script(messages))
    except PeerError as error:
        found: type[PeerError] | str = type(error)
    else:
        found = "" if stream is None else stream.sid
    return found, asyncio.get_running_loop().time() - begun, kinds


async def test_a_start_that_cannot_be_read_is_not_followed_by_another_one() -> None:
    assert await opened(dialing.connected(), NO_TEXTS) == (UnreadableStartError, 0.0, [Malformation.INVALID])
    assert UnreadableStartError().close_code == 1003


async def test_what_else_cannot_be_read_is_passed_over() -> None:
    noise = (
        "{",
        '{"event": "begin"}',
        b"\xff",
        '{"event": "media", "media": 1}',
        '{"event": "connected", "version": []}',
    )
    found, _, kinds = await opened(*noise, dialing.start("CA1", {}, stream_sid="MZ7"))

    assert (found, len(kinds)) == ("MZ7", len(noise))


async def test_a_start_that_does_not_come_is_waited_for() -> None:
    assert await opened(dialing.connected()) == (LateStartError, START_TIMEOUT, [])
