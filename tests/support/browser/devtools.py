"""The DevTools protocol over its WebSocket: commands with answers, and events, of the browser and of its pages."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

ANSWER_S: Final = 60.0

Event = dict[str, Any]


class DevtoolsError(RuntimeError):
    """The browser refused a command."""


class Devtools:
    """One connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._next = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: dict[tuple[str, str], list[Callable[[Event], None]]] = defaultdict(list)

    @classmethod
    @asynccontextmanager
    async def connected(cls, address: str) -> AsyncIterator[Devtools]:
        """Connect to a browser; ends with the connection."""
        async with connect(address, max_size=None, proxy=None, compression=None) as socket:
            devtools = cls(socket)
            reading = asyncio.create_task(devtools._read())
            try:
                yield devtools
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    def session(self, session_id: str) -> Session:
        return Session(self, session_id)

    async def send(self, method: str, *, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Send a command; return its answer. Raises `DevtoolsError`."""
        self._next += 1
        number = self._next
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        await self._socket.send(json.dumps(message))
        try:
            async with asyncio.timeout(ANSWER_S):
                result: dict[str, Any] = await answer
                return result
        finally:
            del self._waiting[number]

    def on(self, event: str, listener: Callable[[Event], None], *, session: str = "") -> None:
        self._listeners[session, event].append(listener)

    async def _read(self) -> None:
        async for text in self._socket:
            self._take(json.loads(text))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the browser is gone"))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            for listener in self._listeners[message.get("sessionId", ""), message["method"]]:
                listener(message["params"])
        elif (answer := self._waiting.get(message["id"])) is not None and not answer.done():
            if "error" in message:
                answer.set_exception(DevtoolsError(message["error"]["message"]))
            else:
                answer.set_result(message["result"])


class Session:
    """The part of a connection that is about one page."""

    def __init__(self, devtools: Devtools, session_id: str) -> None:
        self._devtools = devtools
        self._id = session_id

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """See `Devtools.send`."""
        return await self._devtools.send(method, session=self._id, **parameters)

    def on(self, event: str, listener: Callable[[Event], None]) -> None:
        self._devtools.on(event, listener, session=self._id)
