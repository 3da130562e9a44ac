"""The relay does to a connection what its names say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.network.relay import Relay, relaying

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[int, list[str]]]:
    """A server that says everything back; yields its port, and how its connections ended."""
    endings: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1000):
                writer.write(chunk)
            endings.append("closed")
        except ConnectionResetError:
            endings.append("reset")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], endings


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Relay, Pair, list[str]]]:
    async with asyncio.timeout(20), echo() as (port, endings), relaying(port) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        try:
            yield relay, (reader, writer), endings
        finally:
            writer.close()


async def said_back(pair: Pair, words: bytes) -> bool:
    pair[1].write(words)
    return await pair[0].readexactly(len(words)) == words


async def test_what_is_sent_arrives_both_ways_and_so_does_the_end() -> None:
    async with connected() as (_, pair, endings):
        assert await said_back(pair, b"hello" * 1000)
        pair[1].write_eof()
        assert await pair[0].read() == b""
        assert endings == ["closed"]


async def test_a_cut_resets_both_sides() -> None:
    async with connected() as (relay, pair, endings):
        assert await said_back(pair, b"hello")
        relay.cut()

        with pytest.raises(ConnectionResetError):
            await pair[0].read()
        while not endings:
            await asyncio.sleep(0.01)
        assert endings == ["reset"]


async def test_a_swallowed_connection_stays_open_and_what_was_sent_comes_after_the_release() -> None:
    async with connected() as (relay, pair, endings), echo() as (port, _):
        relay.swallow()
        answer = asyncio.create_task(said_back(pair, b"hello"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(20):
            assert await said_back((reader, writer), b"and past the relay there and back, twenty times")
        writer.close()
        assert not answer.done()
        assert endings == []

        relay.release()
        assert await answer


async def test_a_delay_holds_each_way() -> None:
    async with connected() as (relay, pair, _):
        loop = asyncio.get_running_loop()
        relay.delay(0.15)
        begun = loop.time()
        assert await said_back(pair, b"hello")
        assert loop.time() - begun >= 0.3


async def test_refused_connections_are_reset_and_open_ones_go_on() -> None:
    async with connected() as (relay, pair, _):
        assert await said_back(pair, b"hello")
        relay.refuse()
        refused, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        with pytest.raises(ConnectionResetError):
            await refused.read()
        writer.close()
        assert await said_back(pair, b"and on")

        relay.accept()
        taken = await asyncio.open_connection("127.0.0.1", relay.port)
        assert await said_back(taken, b"hello")
        taken[1].close()


async def test_a_forgotten_connection_is_dead_and_a_new_one_works() -> None:
    async with connected() as (relay, pair, endings):
        assert await said_back(pair, b"hello")
        relay.forget()
        pair[1].write(b"hello?")
        answer = asyncio.create_task(pair[0].read(1))
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        for _ in range(20):
            assert await said_back((reader, writer), b"there and back, twenty times")
        writer.close()

        assert not answer.done(), "what was asked before has no answer, and the connection no end"
        answer.cancel()
        assert "reset" not in endings
