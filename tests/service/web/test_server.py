import asyncio
import socket

import httpx
import pytest
from fastapi import FastAPI

from batkol.errors import ConfigurationError
from batkol.web.protocol import MediaProtocol
from batkol.web.server import LARGEST_MESSAGE, listening
from support.raw_websocket import close, connected, frame, text


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

    async def endless(scope: object, receive: object, send: object) -> None:
        await receive()  # type: ignore[operator]
        await send({"type": "websocket.accept"})  # type: ignore[operator]
        while (message := await receive())["type"] != "websocket.disconnect":  # type: ignore[operator]
            pass
        codes.append(message["code"])

    app.mount("/", endless)  # type: ignore[arg-type]
    async with listening(app, "127.0.0.1", 0) as port, connected(port) as raw:
        await raw.send(frame(0x1, b"x" * LARGEST_MESSAGE)[:8000])
        await raw.send(b"")
    async with listening(app, "127.0.0.1", 0) as port, connected(port) as raw:
        await raw.send(frame(0x1, b"x" * (LARGEST_MESSAGE + 1))[:8000])
        assert await raw.closed() == 1009


async def test_a_compressed_stream_is_not_negotiated() -> None:
    """Mu-law does not compress, and Twilio does not ask for it."""
    app = FastAPI()

    async def polite(scope: object, receive: object, send: object) -> None:
        await receive()  # type: ignore[operator]
        await send({"type": "websocket.accept"})  # type: ignore[operator]
        await receive()  # type: ignore[operator]

    app.mount("/", polite)  # type: ignore[arg-type]
    from support.raw_websocket import handshake

    async with listening(app, "127.0.0.1", 0) as port, connected(port, shake=False) as raw:
        await raw.send(handshake("/", "Sec-WebSocket-Extensions: permessage-deflate"))
        answer = await raw.upgraded()
        await raw.send(text("x"), close())

    assert b" 101 " in answer
    assert b"deflate" not in answer


def test_the_protocol_is_ours() -> None:
    assert MediaProtocol.__mro__[1].__name__ == "WebSocketsSansIOProtocol"
