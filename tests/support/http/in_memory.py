"""Connections to an ASGI application without a socket, for virtual time: bytes out, and a peer that may be gone.

A write takes as many turns of the loop as the test wants: others run in the midst of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message


class Connection:
    """One request and its answer. What was sent and not read is lost with the connection."""

    def __init__(
        self, app: ASGIApp, path: str, headers: Mapping[str, str] | None = None, *, turns_a_write: int = 1
    ) -> None:
        self._turns_a_write = turns_a_write
        url = urlsplit(path)
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": url.path,
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        self._asked = False
        self._gone = asyncio.Event()
        self._unread = bytearray()
        self.status: int | None = None
        self.is_over = False
        """Whether the answer is whole."""
        self._task = asyncio.create_task(self._answer(app))

    async def _answer(self, app: ASGIApp) -> None:
        await app(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        for _ in range(self._turns_a_write):  # as where the socket's buffer is full for a moment
            await asyncio.sleep(0)
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self._unread += message.get("body", b"")
            self.is_over = not message.get("more_body", False)

    def read(self, most: int) -> bytes:
        """Take so many bytes at most of those that are here."""
        taken = bytes(self._unread[:most])
        del self._unread[:most]
        return taken

    @property
    def unread(self) -> int:
        return len(self._unread)

    async def drop(self) -> None:
        """Cut the connection."""
        self._gone.set()
        await asyncio.wait([self._task])
        self._task.result()

    async def whole(self) -> bytes:
        """Wait for the whole answer."""
        await asyncio.wait([self._task])
        self._task.result()
        return self.read(self.unread)
