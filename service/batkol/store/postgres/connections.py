"""The connections to Postgres: one for the writer, a pool for everybody else. Neither connects before it is needed."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import parse_qs, urlparse

import asyncpg
import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address
from batkol.store.postgres.faults import driver_faults, error_name
from batkol.store.postgres.primary import PrimaryCheck

RECYCLE_S: Final = 1800.0
"""Age at which a connection is replaced: after a failover, a name may mean another server."""

CLOSING_S: Final = 3.0
"""Seconds in which connections are closed in good order, all together; then they are dropped."""

log = structlog.get_logger()


class Database:
    """One per process."""

    def __init__(self, where: Address, *, pool_size: int = 5, patience: DatabaseTimeouts | None = None) -> None:
        self.where = where
        self.patience = patience or DatabaseTimeouts()
        self.writing: AsyncEngine = self._engine(pool_size=1)
        """The writer's own connection, so that no reader can take it."""
        self.reading: AsyncEngine = self._engine(pool_size=pool_size)
        """For the API, and what goes on in the background."""
        self._check = PrimaryCheck(self.reading, self.patience.connect_s)

    def _engine(self, pool_size: int) -> AsyncEngine:
        patience = self.patience

        async def connect() -> asyncpg.Connection[Any]:
            return await connected(self.where, patience)

        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=patience.connect_s,
            pool_recycle=RECYCLE_S,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
        )

    async def renew_writing(self) -> None:
        """Drop the writer's connection: the next attempt makes another, wherever the database's name leads then."""
        await _close(self.writing)

    def reconnect(self) -> None:
        """The server is gone, or another one is the primary: the pool for reading makes its connections anew, too."""
        self._check.invalidate()

    async def close(self) -> None:
        """Close every connection that is at rest, within `CLOSING_S` together; then drop them."""
        await _close(self.writing, self.reading)


async def _close(*engines: AsyncEngine) -> None:
    """Close the connections at rest. A server that does not answer is not waited for longer than `CLOSING_S`."""
    try:
        async with asyncio.timeout(CLOSING_S):
            for engine in engines:
                await engine.dispose()
    except Exception as error:  # noqa: BLE001 -- whatever the driver raises: the connections go all the same
        for engine in engines:
            await engine.dispose(close=False)  # a pool that was stopped in the middle counts what it has not
        log.warning("[STORE] database connection did not close in order; it was dropped", fault=error_name(error))


async def connected(
    where: Address, patience: DatabaseTimeouts, *, statements_end: bool = True
) -> asyncpg.Connection[Any]:
    """Connect; raises what is in `FAULTS`. Without `statements_end` a statement may take its time (a migration's)."""
    server_settings = {"application_name": where.application_name, "timezone": "UTC"}
    if statements_end:
        server_settings["statement_timeout"] = str(int(patience.statement_s * 1000))
    how: dict[str, Any] = {
        "ssl": where.tls,
        "timeout": where.connect_s or patience.connect_s,
        "command_timeout": patience.command_s if statements_end else None,
        "server_settings": server_settings,
    }
    with driver_faults():
        if _is_to_choose(where.dsn):
            try:
                return await asyncpg.connect(where.dsn, target_session_attrs="read-write", **how)
            except (asyncpg.TargetServerAttributeNotMatched, OSError) as error:
                log.debug("[STORE] no database host takes writes; reads use a read-only host", fault=error_name(error))
        return await asyncpg.connect(where.dsn, **how)


def _is_to_choose(dsn: str) -> bool:
    """Whether a URL names several hosts, and leaves to us which: libpq's `any` would be the first one for ever."""
    parsed = urlparse(dsn)
    query = parse_qs(parsed.query)
    hosts = query.get("host", [parsed.netloc.rpartition("@")[2]])[-1]
    return "," in hosts and "target_session_attrs" not in query


def engine_without_timeout(where: Address, patience: DatabaseTimeouts | None = None) -> AsyncEngine:
    """Return an engine for one connection whose statements may take as long as they do."""

    async def connect() -> asyncpg.Connection[Any]:
        return await connected(where, patience or DatabaseTimeouts(), statements_end=False)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
