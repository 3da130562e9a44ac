"""An application behind the short way in, and the server that has one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from batkol.calls.socket import Inlet, PeerFault, ending
from batkol.web.protocol import EXTENSION, MediaProtocol
from support.http.raw_websocket import RawWebSocket, connected
from support.time.waiting import until

LARGEST = 1 << 20


class Listener:
    """An ASGI application that writes down what it is given: by `receive` at first, then by the short way.

    It can wait for `wanted` messages.
    """

    def __init__(self, *, before: int = 0, pause: bool = False, wanted: int = 1) -> None:
        self.before = before
        self.wanted = wanted
        self.inlet: Inlet | None = None
        self.texts: list[bytes] = []
        self.binaries: list[bytes] = []
        self.codes: list[int] = []
        self.faults: list[PeerFault | None] = []
        self.go_on = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.send: Any = None
        if not pause:
            self.go_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        self.send = send
        for _ in range(self.before):
            if not self._take(await receive()):
                return
        await self.go_on.wait()
        direct = scope["extensions"].get(EXTENSION)
        if direct is not None:
            self.inlet = direct(self.texts.append, lambda: self.wanted)
            await self.reading.wait()
        while self._take(await receive()):
            pass

    def _take(self, message: dict[str, Any]) -> bool:
        if message["type"] == "websocket.disconnect":
            self.codes.append(message["code"])
            self.faults.append(ending(message).fault)
            return False
        if message.get("text") is not None:
            self.texts.append(message["text"].encode())
        else:
            self.binaries.append(message["bytes"])
        return True

    @property
    def said(self) -> list[str]:
        return [message.decode() for message in self.texts]


class Hall:
    """A server whose application is changed for every connection."""

    def __init__(self) -> None:
        self.listener: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.listener(scope, receive, send)


@asynccontextmanager
async def serving(
    app: Any, protocol: type[asyncio.Protocol] = MediaProtocol, *, pings: tuple[float, float] = (20.0, 20.0)
) -> AsyncIterator[int]:
    """Serve `app`; `pings` are the seconds without a frame before a ping, and those after it."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        ws=protocol,
        ws_max_size=LARGEST,
        ws_per_message_deflate=False,
        log_config=None,
        lifespan="off",
        access_log=False,
        ws_ping_interval=pings[0],
        ws_ping_timeout=pings[1],
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@asynccontextmanager
async def call(listener: Listener) -> AsyncIterator[RawWebSocket]:
    """Connect to a server with the short way in, and wait until it is taken."""
    async with serving(listener) as port, connected(port) as raw:
        if not listener.before and listener.go_on.is_set():
            await until(lambda: listener.inlet is not None)
        yield raw
