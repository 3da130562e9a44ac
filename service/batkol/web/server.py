"""Two uvicorn listeners on one event loop, which end when the service asks for it and not by a signal of their own.

uvicorn closes WebSockets as soon as it sees SIGTERM. Here the signals are the service's: it drains first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI

from batkol.errors import ConfigurationError
from batkol.supervision.tasks import Tasks
from batkol.web import limits
from batkol.web.connections import Connections
from batkol.web.http_protocol import HttpProtocol
from batkol.web.protocol import MediaProtocol

LARGEST_MESSAGE: Final = 4 << 20
"""Bytes of one WebSocket message; Twilio's are about 400."""

LEAVING_S: Final = 5
"""Seconds for the answers under way when the listener is closed; the drain is over by then."""

_LOOK_S: Final = 0.01  # between two looks at whether all connections are closed
_LOOKS: Final = 4  # at a connection within `Limits.linger_s`, before it is taken for stalled
_TICKS_A_SECOND: Final = 10  # as `on_tick` counts

log = structlog.get_logger()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, leaving_s: float) -> None:
        super().__init__(config)
        self._leaving_s = leaving_s

    async def begin(self) -> None:
        """Listen. What uvicorn's own `serve` does until it waits; that waiting is a task which may die, `main_loop`."""
        if not self.config.loaded:
            self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        try:
            await self.startup()
        except SystemExit:  # uvicorn's answer to an address it cannot bind
            address = f"{self.config.host}:{self.config.port}"
            raise ConfigurationError(
                f"the service cannot listen on {address}; check whether another program uses this port"
            ) from None

    async def main_loop(self) -> None:
        """Keep the clock of the answers until cancelled: uvicorn's own looks ten times a second."""
        tick = 0
        while not await self.on_tick(tick):
            tick += _TICKS_A_SECOND
            await asyncio.sleep(1)

    async def shutdown(self, sockets: Any = None) -> None:  # noqa: ARG002  there are none but the listener's own
        """Close the listener, then each connection when its answer is out; what has none under way closes at once.

        uvicorn's own sleeps for 0.1 s first, and looks ten times a second, whether anything is open or not.
        """
        for server in self.servers:
            server.close()
        connections, answers = self.server_state.connections, self.server_state.tasks
        for connection in tuple(connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self._leaving_s):
                while connections or answers:  # noqa: ASYNC110 -- uvicorn's sets, which set no event
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            log.warning("[API] answers did not end in time; the service cuts them off", answers=len(answers))
            for answer in tuple(answers):
                answer.cancel(msg="the listener is closed")

    async def end(self, stalled_s: float) -> None:
        """Close the listener, and each connection with its answer, within `leaving_s`; the rest is aborted.

        A client that takes nothing of its answer for `stalled_s` seconds is not waited for: it has gone without a word,
        as when its network was cut, and TCP finds that out much later.
        """
        connections = self.server_state.connections
        watching = asyncio.create_task(_abort_stalled(connections, stalled_s), name="http.end")
        try:
            await self.shutdown()
        finally:
            watching.cancel()
            for connection in tuple(connections):
                connection.transport.abort()
            await asyncio.wait([watching])
        if not watching.cancelled():
            watching.result()  # it ends of itself by an error only

    @property
    def bound_port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


async def _abort_stalled(connections: Collection[Any], stalled_s: float) -> None:
    """Abort each connection whose unsent bytes stay the same for `stalled_s` seconds, until cancelled.

    An answer that goes on being written, to a client that goes on reading, has another number at some look.
    """
    looks: dict[Any, list[int]] = {}
    while True:
        looks = {each: [*looks.get(each, ()), _unsent(each)][-1 - _LOOKS :] for each in connections}
        for connection, unsent in looks.items():
            if len(unsent) > _LOOKS and len(set(unsent)) == 1 and unsent[0]:
                connection.transport.abort()
        await asyncio.sleep(stalled_s / _LOOKS)


def _unsent(connection: Any) -> int:
    size: int = connection.transport.get_write_buffer_size()
    return size


@asynccontextmanager
async def listening(
    app: FastAPI,
    host: str,
    port: int,
    connections: Connections | None = None,
    *,
    tasks: Tasks | None = None,
    leaving_s: float = LEAVING_S,
) -> AsyncIterator[int]:
    """Serve `app` and yield the port it is bound to (`port` 0 takes a free one).

    `connections` has the listener's name and limits, by default those of the public one; the listener's task is one of
    `tasks`. Raises `ConfigurationError` if the address cannot be had. Leaving it closes the connections, and
    those whose answer takes longer than `leaving_s` seconds without it.
    """
    if connections is None:
        connections = Connections("public", limits.public())
    server = _Server(_config(app, host, port, connections), leaving_s)
    connections.open = server.server_state.connections
    await server.begin()
    clock = (tasks or Tasks()).add(server.main_loop, f"http.{connections.listener}")
    clock.start()
    try:
        yield server.bound_port
    finally:
        await clock.stop()
        await server.end(connections.limits.linger_s)


def _config(app: FastAPI, host: str, port: int, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=partial(HttpProtocol, connections=connections),  # type: ignore[arg-type]  # it is only called
        ws=MediaProtocol,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_interval=connections.limits.ping_after_s,
        ws_ping_timeout=connections.limits.pong_s,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=connections.limits.keep_alive_s,  # type: ignore[arg-type]  # any number of seconds
        server_header=False,
    )
