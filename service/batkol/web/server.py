"""Two uvicorn listeners on one event loop, which leave when they are told and not by a signal of their own.

uvicorn closes WebSockets as soon as it sees SIGTERM. Here the signals are the service's: it drains first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Final

import uvicorn
from fastapi import FastAPI

from batkol.errors import ConfigurationError
from batkol.web import limits
from batkol.web.connections import Connections
from batkol.web.http_protocol import HttpProtocol
from batkol.web.protocol import MediaProtocol

LARGEST_MESSAGE: Final = 4 << 20
"""Bytes of one WebSocket message; Twilio's are about 400."""

_TICKS_A_SECOND: Final = 10  # as `on_tick` counts


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Stop serving, and close what is open."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Keep the clock of the answers, and wait to be told: uvicorn's own looks ten times a second."""
        tick = 0
        while not await self.on_tick(tick):
            tick += _TICKS_A_SECOND
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._leaving.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def bound_port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


@asynccontextmanager
async def listening(app: FastAPI, host: str, port: int, connections: Connections | None = None) -> AsyncIterator[int]:
    """Serve `app` and yield the port it is bound to (`port` 0 takes a free one).

    `connections` has the listener's limits, by default those of the public one.
    Raises `ConfigurationError` if the address cannot be had. Leaving it closes the connections.
    """
    if connections is None:
        connections = Connections("public", limits.public())
    server = _Server(_config(app, host, port, connections))
    connections.open = server.server_state.connections
    serving = asyncio.create_task(_serve(server, host, port), name=f"http.{port}")
    try:
        while not server.started:
            if serving.done():
                serving.result()
                raise ConfigurationError(f"the listener on {host}:{port} ended at once")
            await asyncio.sleep(0.01)
        yield server.bound_port
    finally:
        server.leave()
        await serving


def _config(app: FastAPI, host: str, port: int, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=partial(HttpProtocol, connections=connections),  # type: ignore[arg-type]  # it is only called
        ws=MediaProtocol,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=connections.limits.keep_alive_s,  # type: ignore[arg-type]  # any number of seconds
        timeout_graceful_shutdown=5,
        server_header=False,
    )


async def _serve(server: _Server, host: str, port: int) -> None:
    try:
        await server.serve()
    except SystemExit:  # uvicorn's answer to an address it cannot bind
        raise ConfigurationError(f"{host}:{port} cannot be listened on; is another service there already?") from None
