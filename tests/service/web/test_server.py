import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from batkol.errors import ConfigurationError
from batkol.web import limits
from batkol.web.connections import Connections
from batkol.web.protocol import MediaProtocol
from batkol.web.server import LARGEST_MESSAGE, listening
from support.http.raw_client import get, speaking
from support.http.raw_websocket import close, connected, frame, handshake, text
from support.time.waiting import until


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


async def test_a_listener_without_connections_closes_without_waiting() -> None:
    stack = AsyncExitStack()
    await stack.enter_async_context(listening(_app(), "127.0.0.1", 0))
    leaving = asyncio.create_task(stack.aclose())
    for _ in range(20):
        await asyncio.sleep(0)

    assert leaving.done()


async def test_an_answer_that_does_not_end_in_time_is_cut_off_and_the_log_says_so() -> None:
    asked, cut_off = asyncio.Event(), asyncio.Event()
    app = FastAPI()

    @app.get("/")
    async def never() -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    with capture_logs() as logs:
        async with listening(app, "127.0.0.1", 0, leaving_s=0.05) as port, speaking(port) as raw:
            await raw.send(get())
            await asked.wait()
        async with asyncio.timeout(20):
            await cut_off.wait()

    (said,) = [entry for entry in logs if entry["event"].startswith("[API] answers did not end in time")]
    assert said["answers"] == 1


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as raised:
            async with listening(_app(), "127.0.0.1", port):
                pass

    assert str(raised.value) == (
        f"the service cannot listen on 127.0.0.1:{port}; check whether another program uses this port"
    )


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


class Uvicorn(logging.Handler):
    """What uvicorn complains of when it leaves."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    handler = Uvicorn()
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(handler)
    yield handler.said
    logger.removeHandler(handler)


def leaving(**more: Any) -> Connections:
    return Connections("public", replace(limits.public(), linger_s=0.2, **more))


class Streaming:
    """An application that answers with some bytes, in pieces."""

    def __init__(self, size: int, pieces: int) -> None:
        self.body = bytes(size // pieces)
        self.pieces = pieces
        self.begun = asyncio.Event()
        self.ended = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.begun.set()
        try:
            for left in reversed(range(self.pieces)):
                await send({"type": "http.response.body", "body": self.body, "more_body": left > 0})
            self.ended = "over"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


@pytest.mark.parametrize("pieces", [1, 1000], ids=["answered", "answering"])
async def test_a_client_that_was_cut_off_does_not_hold_the_end(pieces: int, complaints: list[str]) -> None:
    """Whether its answer waits in the buffer or is still being written: it is aborted, and the application is neither
    waited for until uvicorn's patience ends, nor cancelled then.
    """
    app: Any = Streaming(32 << 20, pieces)
    connections = leaving(one_request=False)
    async with AsyncExitStack() as stack:
        async with listening(app, "127.0.0.1", 0, connections) as port:
            raw = await stack.enter_async_context(speaking(port))
            raw.pause_reading()
            await raw.send(get())
            await until(lambda: app.ended == "over" if pieces == 1 else app.begun.is_set())
            assert len(connections) == 1

        assert len(connections) == 0
    assert (app.ended, complaints) == ("over", [])


async def test_an_answer_that_is_being_taken_is_whole_at_the_end(complaints: list[str]) -> None:
    app: Any = Streaming(16 << 20, 256)
    async with AsyncExitStack() as stack:
        async with listening(app, "127.0.0.1", 0, leaving(), leaving_s=60) as port:  # longer than a busy machine takes
            raw = await stack.enter_async_context(speaking(port))
            await raw.send(get())
            await app.begun.wait()
            taking = asyncio.create_task(raw.rest())

        whole = await taking
    assert whole.count(b"\0") == 16 << 20
    assert (app.ended, complaints) == ("over", [])
