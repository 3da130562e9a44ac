"""The connection of a pod's sinks: one for all of them, which holds their locks.

Postgres gives a lock back when the connection that has it ends, however it ends: the process was killed, the network
was cut, the server restarted. What a drainer notes goes over the connection on which it took its lock, so one that has
lost the lock notes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import structlog

from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import connected
from batkol.store.postgres.faults import DB_ERRORS, driver_faults, error_name

CHANNEL: Final = "batkol_outbox"
"""Channel of `NOTIFY`; the payload is the agent whose events are new."""

CLOSING_S: Final = 1.0
"""Seconds in which the connection is closed in good order; then it is dropped."""

# A machine that vanishes closes nothing: the server asks its end of the connection, and frees the locks within 25 s.
_KEEPALIVE: Final = """
SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false)
"""

log = structlog.get_logger()


def _nobody(_agent: str) -> None:
    pass


class LostError(OSError):
    """The connection on which the lock was taken is no more, and the lock with it."""


class SharedConnection:
    """Made without a connection: the first that asks makes it."""

    def __init__(self, where: Address, patience: DatabaseTimeouts) -> None:
        self.on_news: Callable[[str], None] = _nobody
        """Called with the agent of each notification."""
        self._where = where
        self._patience = patience
        self._connection: asyncpg.Connection[Any] | None = None
        self._connecting = asyncio.Lock()
        self._working = asyncio.Lock()  # the driver does one thing at a time

    async def connection(self) -> asyncpg.Connection[Any]:
        """Return the connection; a new one if it has ended. Raises the database's errors."""
        async with self._connecting:
            found = self._connection
            if found is None or found.is_closed():
                found = await connected(self._where, self._patience)
                try:
                    with driver_faults():
                        await found.execute(_KEEPALIVE)
                        await found.add_listener(CHANNEL, self._on_notification)
                except BaseException:
                    found.terminate()
                    raise
                self._connection = found
            return found

    async def fetch(self, on: asyncpg.Connection[Any], statement: str, *values: Any) -> list[Any]:
        """Carry out a statement on that connection. Raises `LostError` if it has ended, or the database's errors."""
        async with self._using(on):
            return list(await on.fetch(statement, *values))

    @asynccontextmanager
    async def transaction(self, on: asyncpg.Connection[Any]) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A transaction on that connection, which has no other user meanwhile. Raises as `fetch`."""
        async with self._using(on), on.transaction():
            yield on

    @asynccontextmanager
    async def _using(self, on: asyncpg.Connection[Any]) -> AsyncIterator[None]:
        async with self._working:
            if on.is_closed() or on is not self._connection:
                raise LostError("the connection that had the lock has ended")
            try:
                with driver_faults():
                    yield
            except asyncpg.PostgresError:
                raise  # the server's answer: the connection is well, or `is_closed` says that it is not
            except BaseException:
                self.drop(on)  # a statement that was broken off may still be under way
                raise

    def drop(self, on: asyncpg.Connection[Any]) -> None:
        """End that connection at once; the locks that it has are free when the server notices."""
        if on is self._connection:
            self._connection = None
        on.terminate()

    async def close(self) -> None:
        """End the connection in good order, for as long as `CLOSING_S`; the locks are free then."""
        found, self._connection = self._connection, None
        if found is None:
            return
        try:
            async with asyncio.timeout(CLOSING_S):
                await found.close()
        except DB_ERRORS as error:
            found.terminate()
            log.debug("[SINK] database connection did not close in order; it was dropped", fault=error_name(error))

    def _on_notification(self, *heard: Any) -> None:
        self.on_news(str(heard[-1]))
