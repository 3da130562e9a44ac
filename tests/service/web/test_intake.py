"""Messages are held back while nothing would come of them, and nothing else is."""

import asyncio
import gc
import socket
import ssl
from typing import Any

import pytest

from batkol.web.intake import MAX_BYTES, Intake
from support.http.media_listener import Listener, call
from support.http.raw_websocket import PING, RawWebSocket, arrived, close, frame, text
from support.time.waiting import until

SOUND = text("s" * 300)


async def send(raw: RawWebSocket, messages: int, message: bytes = SOUND) -> None:
    """Send so many; at the end they are in the server's socket, and it has read those that are not held back."""
    await raw.send(*[message] * messages)
    await raw.arrived()


async def began(raw: RawWebSocket, listener: Listener) -> None:
    """The first message comes alone: only then is it known how long they are."""
    await raw.send(SOUND)
    await until(lambda: listener.texts)
    listener.texts.clear()


async def test_the_message_that_is_waited_for_brings_those_before_it() -> None:
    listener = Listener(wanted=8)
    async with call(listener) as raw:
        await began(raw, listener)
        await send(raw, 7)
        before = len(listener.texts)
        await raw.send(SOUND)
        await until(lambda: len(listener.texts) == 8)

        assert before == 0


async def test_what_is_pulled_comes_at_once_and_counts() -> None:
    listener = Listener(wanted=8)
    async with call(listener) as raw:
        await began(raw, listener)
        await send(raw, 3)
        assert listener.inlet is not None
        listener.wanted = 2
        listener.inlet.pull()
        pulled = len(listener.texts)
        await send(raw, 1)
        held = len(listener.texts)
        await send(raw, 1)
        await until(lambda: len(listener.texts) == 5)

        assert (pulled, held) == (3, 3)


async def test_a_pull_that_finds_nothing_asks_anew_what_is_waited_for() -> None:
    """The agent began to speak: the echo of its first mark must not wait for a batch of sound."""
    listener = Listener(wanted=8)
    async with call(listener) as raw:
        await began(raw, listener)
        assert listener.inlet is not None
        listener.wanted = 1
        listener.inlet.pull()
        await send(raw, 1)
        await until(lambda: len(listener.texts) == 1)


async def test_messages_that_grow_a_little_are_not_waited_for_too_long() -> None:
    listener = Listener(wanted=8)
    async with call(listener) as raw:
        await began(raw, listener)
        await raw.send(*(text("s" * length) for length in (290, 310, 300, 295, 305, 300, 299, 301)))
        await until(lambda: len(listener.texts) == 8)

        assert [len(each) for each in listener.texts] == [290, 310, 300, 295, 305, 300, 299, 301]


async def test_half_a_message_that_was_pulled_is_not_waited_for_twice() -> None:
    listener = Listener(wanted=2)
    async with call(listener) as raw:
        await began(raw, listener)
        await raw.send(SOUND + SOUND + SOUND[:250])
        await until(lambda: len(listener.texts) == 2)
        await raw.send(SOUND[250:] + SOUND)
        await until(lambda: len(listener.texts) == 4)

        assert set(listener.texts) == {b"s" * 300}


async def test_after_the_release_every_message_comes_by_itself() -> None:
    listener = Listener(wanted=8)
    async with call(listener) as raw:
        await began(raw, listener)
        await send(raw, 2)
        assert listener.inlet is not None
        listener.inlet.release()
        await until(lambda: len(listener.texts) == 2)
        await raw.send(SOUND)
        await until(lambda: len(listener.texts) == 3)
        listener.inlet.release()  # and again
        listener.inlet.pull()

        assert len(listener.texts) == 3


@pytest.mark.parametrize("wanted", [1, 8])
async def test_an_end_is_never_held_back(wanted: int) -> None:
    listener = Listener(wanted=wanted)
    async with call(listener) as raw:
        await began(raw, listener)
        await send(raw, 1)
        raw.finish()
        await until(lambda: listener.codes)

    assert listener.texts == [b"s" * 300]
    assert listener.codes == [1006]


async def test_a_close_frame_waits_for_a_pull_at_most() -> None:
    listener = Listener(wanted=8)
    async with call(listener) as raw:
        await began(raw, listener)
        await raw.send(SOUND + frame(PING, b"?") + close(1000))
        await raw.arrived()
        held = list(listener.texts)
        assert listener.inlet is not None
        listener.inlet.pull()
        await until(lambda: listener.codes)

    assert held == []
    assert listener.texts == [b"s" * 300]
    assert listener.codes == [1000]


async def test_a_frame_as_long_as_no_other_way_takes_holds_nothing_back() -> None:
    listener = Listener(wanted=8)
    async with call(listener) as raw:
        await began(raw, listener)
        await raw.send(text("l" * 70_000))  # the long way, from here on
        await until(lambda: len(listener.texts) == 1)
        await raw.send(SOUND)
        await until(lambda: len(listener.texts) == 2)

        assert len(listener.texts[0]) == 70_000


async def test_huge_messages_fill_no_socket() -> None:
    listener = Listener(wanted=1_000)
    async with call(listener) as raw:
        await began(raw, listener)
        await send(raw, MAX_BYTES // len(SOUND) + 1)
        await until(lambda: len(listener.texts) == MAX_BYTES // len(SOUND) + 1)

        assert MAX_BYTES // len(SOUND) < 1_000


class _Receiver(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: Any = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def receiver() -> tuple[_Receiver, socket.socket]:
    receiver = _Receiver()
    server = await asyncio.get_running_loop().create_server(lambda: receiver, "127.0.0.1", 0)
    peer = socket.create_connection(server.sockets[0].getsockname())
    await until(lambda: receiver.transport is not None)
    server.close()
    return receiver, peer


async def test_a_receiver_that_raises_ends_its_own_connection() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    at, peer = await receiver()
    with peer:

        def broken(_: bytes) -> None:
            raise ValueError("broken")

        intake = Intake(at.transport, broken)
        intake.wait_for(100)
        peer.sendall(b"five!")
        await arrived(peer.fileno())
        intake.pull()
        await asyncio.wait_for(at.lost.wait(), 40)
        intake.pull()
        intake.close()

    assert [str(each["exception"]) for each in told] == ["broken"]


async def test_it_never_owns_the_socket() -> None:
    at, peer = await receiver()
    with peer:
        intake = Intake(at.transport, lambda _: None)
        intake.close()
        del intake
        gc.collect()
        at.transport.write(b"still here")
        peer.settimeout(40)

        assert await asyncio.to_thread(peer.recv, 100) == b"still here"
        at.transport.abort()


async def test_a_connection_that_is_over_is_left_alone() -> None:
    at, peer = await receiver()
    with peer:
        at.transport.abort()

        with pytest.raises(OSError, match="has ended"):
            Intake(at.transport, lambda _: None)


async def test_inside_tls_nothing_can_be_held_back() -> None:
    class Encrypted(asyncio.Transport):
        def is_closing(self) -> bool:
            return False

        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return ssl.create_default_context() if name == "sslcontext" else default

    with pytest.raises(OSError, match="TLS"):
        Intake(Encrypted(), lambda _: None)
