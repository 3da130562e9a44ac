"""SQL beside the store's: what a test asks of a database, or does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from batkol.store.postgres.address import Address

KEPT = ("calls", "utterances", "events", "leads", "call_statuses", "replies", "tool_calls")
"""The tables that hold what calls were, which only records fill."""


@asynccontextmanager
async def connection(where: Address) -> AsyncIterator[asyncpg.Connection]:
    """A connection beside the store's."""
    made = await asyncpg.connect(where.dsn, ssl=False)
    try:
        yield made
    finally:
        await made.close()


async def sql(where: Address, statement: str, *values: Any) -> list[dict[str, Any]]:
    """Carry out a statement; returns its rows."""
    async with connection(where) as made:
        return [dict(row) for row in await made.fetch(statement, *values)]


async def texts(where: Address) -> list[tuple[str, int, str | None]]:
    """What is kept of utterances: call, index, text, in order."""
    rows = await sql(where, "SELECT call_sid, index, text FROM utterances ORDER BY call_sid, stream_sid, index")
    return [(row["call_sid"], row["index"], row["text"]) for row in rows]


async def everything(where: Address, tables: Sequence[str] = KEPT) -> Any:
    """All that is kept, but for when it was written and what Postgres numbers itself."""
    found = {}
    async with connection(where) as made:
        for table in tables:
            rows = [dict(row) for row in await made.fetch(f"SELECT * FROM {table}")]
            for row in rows:
                row.pop("updated_at", None)
                row.pop("id", None)
                row.pop("told_at", None)
            found[table] = sorted(map(repr, rows))
    return found


async def age(where: Address, hours: float) -> None:
    """Let so much time go by: everything that is kept is so much older."""
    async with connection(where) as other:
        for table, columns in (
            ("calls", ("updated_at", "started_at", "stream_started_at", "ended_at")),
            ("utterances", ("started_at",)),
            ("events", ("at",)),
            ("replies", ("started_at", "ended_at")),
        ):
            moved = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await other.execute(f"UPDATE {table} SET {moved}", timedelta(hours=hours))
