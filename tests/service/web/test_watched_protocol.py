"""Peers that vanish, and peers that only do not answer pings."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from batkol.calls.socket import PeerFault
from support.http.media_listener import Listener, serving
from support.http.raw_websocket import CLOSE, PING, PONG, RawWebSocket, Received, connected, frame, text
from support.time.waiting import until

PINGS = (0.1, 0.1)
"""Seconds, as in 20 and 20."""
PATIENT = (0.1, 0.8)
"""For a peer that answers or talks: a busy machine may take its time over it."""


@asynccontextmanager
async def watched(listener: Listener, pings: tuple[float, float] = PINGS) -> AsyncIterator[RawWebSocket]:
    async with serving(listener, pings=pings) as port, connected(port) as raw:
        yield raw


async def talk(raw: RawWebSocket, *, seconds: float) -> int:
    """Send a message every 20 ms; return how many."""
    loop = asyncio.get_running_loop()
    begun, sent = loop.time(), 0
    while loop.time() - begun < seconds:
        await raw.send(text("x" * 300))
        sent += 1
        await asyncio.sleep(0.02)
    return sent


async def test_a_peer_that_talks_and_answers_no_ping_is_heard() -> None:
    listener = Listener()
    async with watched(listener, PATIENT) as raw:
        sent = await talk(raw, seconds=2 * sum(PATIENT))
        await until(lambda: len(listener.texts) == sent)

        assert listener.codes == []


async def test_a_peer_that_only_answers_pings_stays() -> None:
    listener = Listener()
    async with watched(listener, PATIENT) as raw:
        for _ in range(3):
            ping = await raw.frame()
            assert ping is not None
            assert ping.opcode == PING
            await raw.send(frame(PONG, ping.payload))

        assert listener.codes == []


async def test_a_peer_that_sends_neither_frame_nor_pong_is_closed_and_the_application_is_told_why() -> None:
    listener = Listener()
    async with watched(listener) as raw:
        await raw.send(text("hello"))
        received = [await raw.frame() for _ in range(3)]

        ping, bye, end = received
        assert ping == Received(PING, b"")
        assert bye is not None
        assert (bye.opcode, bye.code) == (CLOSE, 1011)
        assert end is None
    assert listener.said == ["hello"]
    assert listener.codes == [1011]
    assert listener.faults == [PeerFault.TIMEOUT]


async def test_half_a_frame_is_no_sign_of_life() -> None:
    """Else a peer could keep a place for ever with a byte now and then."""
    listener = Listener()
    async with watched(listener) as raw:
        for byte in frame(0x1, b"x" * 300)[:200]:
            await raw.send(bytes([byte]))
            await asyncio.sleep(0.01)
            if listener.codes:
                break

    assert listener.faults == [PeerFault.TIMEOUT]


async def test_a_peer_that_is_gone_without_a_word_is_noticed_though_it_takes_nothing_we_write() -> None:
    """Half open, as TCP calls it: what we write stays here, so closing politely would wait for ever."""
    listener = Listener()
    async with serving(listener, pings=PINGS) as port:
        with socket.create_connection(("127.0.0.1", port)) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            gone.setblocking(False)
            gone.send(_HANDSHAKE)
            await until(lambda: listener.send is not None)
            writing = asyncio.create_task(_fill(listener))
            await until(lambda: listener.codes)
            await asyncio.wait_for(asyncio.gather(writing, return_exceptions=True), 10)

    assert listener.faults == [PeerFault.TIMEOUT]


_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def _fill(listener: Listener) -> None:
    while True:
        await listener.send({"type": "websocket.send", "text": "x" * 100_000})


@pytest.mark.parametrize("size", [0, 125])
async def test_pings_whose_answers_nobody_reads_do_not_fill_the_memory(size: int) -> None:
    listener = Listener()
    async with serving(listener) as port:
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.setblocking(False)
            deaf.send(_HANDSHAKE)
            await until(lambda: listener.send is not None)
            filling = asyncio.create_task(_fill(listener))
            protocol = listener.inlet
            assert protocol is not None
            await until(lambda: not protocol.writable.is_set())  # type: ignore[attr-defined]
            held = protocol.transport.get_write_buffer_size()  # type: ignore[attr-defined]
            deaf.send(frame(PING, b"x" * size) * 100 + text("done"))
            await until(lambda: listener.said == ["done"])

            assert protocol.transport.get_write_buffer_size() <= held  # type: ignore[attr-defined]
            filling.cancel()
