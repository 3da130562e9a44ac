"""Reading for the API: short queries over the pool, and whole tables by a server-side cursor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import Executable, RowMapping, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.postgres.faults import driver_faults
from batkol.store.postgres.queries import IN_ORDER

CHUNK: Final = 100
"""Rows of an export that are taken at a time: about a millisecond of the loop that carries the calls."""


async def rows(engine: AsyncEngine, statement: Executable) -> Sequence[RowMapping]:
    """Carry out a statement in a transaction of its own, and return its rows. Raises what the database does.

    A connection that a restarted database had already closed, or that leads to a server that only reads, is no reason
    to fail: it is done once more over another one, so the statement must bear that. Cancelling it undoes what is not
    committed.
    """
    try:
        return await _once(engine, statement)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return await _once(engine, statement)


async def _once(engine: AsyncEngine, statement: Executable) -> Sequence[RowMapping]:
    with driver_faults():
        async with engine.begin() as connection:
            return (await connection.execute(statement)).mappings().all()


@asynccontextmanager
async def chunks(engine: AsyncEngine, statement: Select[Any]) -> AsyncIterator[AsyncIterator[Sequence[RowMapping]]]:
    """Open a cursor on what is there at this moment; it holds one connection until it is left.

    Each chunk has the time of a statement. Raises what the database does, from the first chunk on.
    """
    async with engine.connect() as connection:
        await connection.execute(IN_ORDER)
        async with connection.stream(statement, execution_options={"yield_per": CHUNK}) as result:
            yield result.mappings().partitions()
