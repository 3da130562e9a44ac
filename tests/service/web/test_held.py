"""Messages that wait until it is known whose stream they belong to: none lost, in order, and not without end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from batkol.calls.socket import FAULT, PeerFault
from batkol.web.held import LARGEST, GivenUpError, HeldMessages

pytestmark = pytest.mark.virtual_time


class ScriptedSocket:
    """A socket whose messages come when a test says so."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self.sent: list[str] = []
        self.closed: list[int] = []

    @property
    def receive(self) -> Callable[[], Awaitable[Mapping[str, Any]]]:
        return self.coming.get

    async def send_text(self, text: str) -> None:
        self.sent.append(text)

    async def close(self, code: int) -> None:
        self.closed.append(code)

    def say(self, *contents: str | bytes) -> None:
        for content in contents:
            key = "text" if isinstance(content, str) else "bytes"
            self.coming.put_nowait({"type": "websocket.receive", key: content})

    def leave(self, **fields: Any) -> None:
        self.coming.put_nowait({"type": "websocket.disconnect", "code": 1005, **fields})


class Inlet:
    """What a server gives a call."""

    def pull(self) -> None: ...
    def release(self) -> None: ...


async def after(seconds: float, answer: str = "yes") -> str:
    await asyncio.sleep(seconds)
    return answer


@pytest.mark.parametrize("seed", range(5))
async def test_no_message_is_lost_or_overtaken_whenever_the_answer_comes(seed: int) -> None:
    """By either way in: read from the socket, or handed to the call where the server parses it."""
    draw, socket = random.Random(seed), ScriptedSocket()
    held = HeldMessages(socket)

    async def talk() -> None:
        for number in range(40):
            await asyncio.sleep(draw.random() * 0.05)
            socket.say(str(number))

    talking = asyncio.create_task(talk())
    assert await held.during(after(draw.random() * 1.2)) == "yes"
    heard = list[str]()
    inlet = Inlet()

    def direct(sink: Callable[[bytes], None], _: Callable[[], int]) -> Inlet:
        while not socket.coming.empty():
            sink(str(socket.coming.get_nowait()["text"]).encode())
        return inlet

    if seed % 2:
        begin = held.ahead_of(direct)
        assert begin is not None
        assert begin(lambda text: heard.append(text.decode()), lambda: 1) is inlet
    await talking
    while len(heard) < 40:
        heard.append((await held.receive())["text"])

    assert heard == [str(number) for number in range(40)]


async def test_without_anything_held_the_server_s_way_in_stays_as_it_is() -> None:
    held = HeldMessages(ScriptedSocket())
    direct = lambda _sink, _wanted: Inlet()  # noqa: E731

    assert await held.during(after(1.0)) == "yes"
    assert held.ahead_of(direct) is direct
    assert held.ahead_of(None) is None


async def test_binary_messages_are_held_as_they_are() -> None:
    socket, heard = ScriptedSocket(), list[bytes]()
    held = HeldMessages(socket)
    socket.say(b"\x00", "two")
    await held.during(after(1.0))
    begin = held.ahead_of(lambda _sink, _wanted: Inlet())
    assert begin is not None
    begin(heard.append, lambda: 1)

    assert heard == [b"\x00", b"two"]


async def test_a_peer_that_leaves_ends_the_asking() -> None:
    socket, ended = ScriptedSocket(), list[str]()

    async def ask() -> str:
        try:
            return await after(60.0)
        finally:
            ended.append("asking")

    loop = asyncio.get_running_loop()
    begun = loop.time()
    loop.call_later(1.0, socket.leave)
    assert await HeldMessages(socket).during(ask()) is None
    assert loop.time() - begun < 2.0, "and not when the answer would have come"
    assert ended == ["asking"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_peer_that_our_server_gave_up_is_no_peer_that_left() -> None:
    socket = ScriptedSocket()
    socket.leave(**{FAULT: PeerFault.TIMEOUT})

    with pytest.raises(GivenUpError) as caught:
        await HeldMessages(socket).during(after(60.0))
    assert (caught.value.fault, caught.value.close_code) == (PeerFault.TIMEOUT, 1011)


@pytest.mark.parametrize("more", [0, 1])
async def test_there_is_a_limit_to_what_is_held(more: int) -> None:
    socket = ScriptedSocket()
    socket.say("x" * (LARGEST - 1), b"y" * (1 + more))
    answer = HeldMessages(socket).during(after(1.0))

    if more:
        with pytest.raises(GivenUpError) as caught:
            await answer
        assert caught.value.fault is PeerFault.FLOOD
    else:
        assert await answer == "yes"


async def test_what_the_answer_raises_is_raised_and_nothing_is_left_running() -> None:
    async def refuse() -> str:
        await asyncio.sleep(1.0)
        raise ValueError("no")

    socket = ScriptedSocket()
    held = HeldMessages(socket)
    with pytest.raises(ValueError, match="no"):
        await held.during(refuse())
    await held.close(1008)

    assert socket.closed == [1008]
    assert asyncio.all_tasks() == {asyncio.current_task()}
