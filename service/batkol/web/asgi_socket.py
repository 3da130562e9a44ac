"""ASGI's two callables as the WebSocket that a call knows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

CLOSE_TIMEOUT: Final = 2.0
"""Seconds to write a close frame: a peer that reads nothing must not keep the call's place."""

AsgiScope = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiSend = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger()


class AsgiSocket:
    """A WebSocket that is accepted. `reason` goes into its close frame."""

    def __init__(self, receive: AsgiReceive, send: AsgiSend) -> None:
        self.receive = receive
        self._send = send
        self.reason = ""

    async def send_text(self, text: str) -> None:
        """Write a message; a peer that is gone gets none, and `receive` reports that end."""
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError) as error:  # uvicorn's ClientDisconnected, and its "already closed"
            log.debug("[CALL] the socket was closed before this message", err=type(error).__name__)

    async def close(self, code: int) -> None:
        """Close with a code; a peer that is gone already needs none, and one that reads nothing gets none.

        Cancelling it leaves the connection to the server, which closes it when its task has ended.
        """
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._send({"type": "websocket.close", "code": code, "reason": self.reason})
        except (OSError, RuntimeError) as error:  # uvicorn's ClientDisconnected, and its "already closed"; TimeoutError
            log.debug("[CALL] peer closed the socket first", err=type(error).__name__)
