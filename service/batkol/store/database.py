"""The connections to Postgres: one for the writer, a pool for everybody else. Neither connects before it is needed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import msgspec
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from batkol.store.address import Address

RECYCLE_S: Final = 1800.0
"""Age at which a connection is replaced: after a failover, a name may mean another server."""

FAULTS: Final = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What a database that is away, slow, full or refusing raises (`TimeoutError` is an `OSError`)."""

# SQLSTATE classes of what lies in the data, and would be refused again: cardinality, data exception, integrity, limits.
_OF_THE_DATA: Final = ("21", "22", "23", "54")


@dataclass(frozen=True, slots=True)
class Patience:
    """What the service waits for. All in seconds."""

    connect_s: float = 5.0
    statement_s: float = 10.0  # the server's own limit
    command_s: float = 15.0  # ours, for a server that does not answer at all


class Database:
    """One per process."""

    def __init__(self, where: Address, *, pool_size: int = 5, patience: Patience | None = None) -> None:
        self.where = where
        self._patience = patience or Patience()
        self.writing: AsyncEngine = self._engine(pool_size=1)
        """The writer's own connection, so that no reader can take it."""
        self.reading: AsyncEngine = self._engine(pool_size=pool_size)
        """For the API, and what goes on in the background."""

    def _engine(self, pool_size: int) -> AsyncEngine:
        patience = self._patience

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

    async def close(self) -> None:
        """Close every connection that is at rest."""
        await self.writing.dispose()
        await self.reading.dispose()


async def connected(where: Address, patience: Patience, *, statements_end: bool = True) -> asyncpg.Connection[Any]:
    """Connect. Without `statements_end` a statement may take its time, as a migration's does."""
    told = {"application_name": where.application_name, "timezone": "UTC"}
    if statements_end:
        told["statement_timeout"] = str(int(patience.statement_s * 1000))
    return await asyncpg.connect(
        where.dsn,
        ssl=where.tls,
        timeout=where.connect_s or patience.connect_s,
        command_timeout=patience.command_s if statements_end else None,
        server_settings=told,
    )


def patient_engine(where: Address, patience: Patience | None = None) -> AsyncEngine:
    """Return an engine for one connection whose statements may take as long as they do."""

    async def connect() -> asyncpg.Connection[Any]:
        return await connected(where, patience or Patience(), statements_end=False)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


def lies_in_the_data(error: BaseException) -> bool:
    """Whether the same statement with the same data would fail again, on any server."""
    return isinstance(error, DBAPIError) and (sqlstate(error) or "").startswith(_OF_THE_DATA)


def sqlstate(error: BaseException) -> str | None:
    """Return Postgres's code of an error, where it has one."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    found = getattr(origin, "sqlstate", None)
    return found if isinstance(found, str) else None


def named(error: BaseException) -> str:
    """Name an error without its text, which may quote what was being written."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    cause = origin.__cause__ or origin
    code = sqlstate(error)
    return f"{type(cause).__name__} (SQLSTATE {code})" if code else type(cause).__name__


def is_away(error: BaseException) -> bool:
    """Whether a fault is that the database cannot be reached now: no answer, or one that says that it is not up."""
    code = sqlstate(error)
    if code:
        return code.startswith(("08", "57P", "53300"))  # connection exceptions, going down or coming up, no place left
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return isinstance(origin.__cause__ or origin, OSError)


def backoff_s(attempt: int) -> float:
    """Return how long to wait before the next attempt: 0.1 s, twice as long each time, 10 s at most, with jitter."""
    return float(min(10.0, 0.1 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0))  # noqa: S311  jitter
