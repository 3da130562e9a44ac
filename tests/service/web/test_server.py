import asyncio
import socket
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from batkol.errors import ConfigurationError
from batkol.web.protocol import MediaProtocol
from batkol.web.server import LARGEST_MESSAGE, listening
from support.raw_websocket import close, connected, frame, handshake, text
from support.waiting import until


def _app() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


async def test_a_free_port_is_taken_and_told() -> None:
    async with listening(_app(), "127.0.0.1", 0) as one, listening(_app(), "127.0.0.1", 0) as two:
        assert one != two
        async with httpx.AsyncClient(verify=False) as client:
            for port in (one, two):
                assert (await client.get(f"http://127.0.0.1:{port}/")).json() == {"hello": "world"}


async def test_leaving_gives_the_port_back_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with listening(_app(), "127.0.0.1", 0) as port:
        pass
    async with listening(_app(), "127.0.0.1", port) as again:
        assert again == port

    assert asyncio.all_tasks() == before


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as raised:
            async with listening(_app(), "127.0.0.1", port):
                pass

    assert str(raised.value) == f"127.0.0.1:{port} cannot be listened on; is another service there already?"


async def test_the_server_does_not_say_what_it_is() -> None:
    async with listening(_app(), "127.0.0.1", 0) as port, httpx.AsyncClient(verify=False) as client:
        assert "server" not in (await client.get(f"http://127.0.0.1:{port}/")).headers


async def test_a_message_longer_than_any_of_twilios_closes_the_socket() -> None:
    app = FastAPI()
    codes: list[int] = []

    async def listener(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        codes.append((await receive())["code"])

    app.mount("/", listener)
    async with listening(app, "127.0.0.1", 0) as port:
        async with connected(port) as raw:
            await raw.send(frame(0x1, b"x" * (LARGEST_MESSAGE + 1))[:8000])
            assert await raw.closed() == 1009
        async with connected(port) as raw:  # one that is just as long as it may be is waited for
            await raw.send(frame(0x1, b"x" * LARGEST_MESSAGE)[:8000], close())
            raw.finish()
            await until(lambda: len(codes) == 2)

    assert codes == [1009, 1006]


async def test_a_compressed_stream_is_not_negotiated() -> None:
    """Mu-law does not compress, and Twilio does not ask for it."""
    app = FastAPI()

    async def polite(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    app.mount("/", polite)
    async with listening(app, "127.0.0.1", 0) as port, connected(port, shake=False) as raw:
        await raw.send(handshake("/", "Sec-WebSocket-Extensions: permessage-deflate"))
        answer = await raw.upgraded()
        await raw.send(text("x"), close())

    assert b" 101 " in answer
    assert b"deflate" not in answer


def test_the_protocol_is_ours() -> None:
    assert [each.__name__ for each in MediaProtocol.__mro__[1:3]] == ["WatchedProtocol", "WebSocketsSansIOProtocol"]
