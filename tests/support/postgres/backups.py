"""A database that is put back to what it was: as from a backup, while its users hold connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from batkol.store.postgres.address import Address
from support.postgres.server import Server, name_of
from support.postgres.sql import sql


@asynccontextmanager
async def backup(server: Server, where: Address) -> AsyncIterator[str]:
    """A copy of the database as it is now."""
    admin, name = server.named("postgres"), name_of(where)
    await sql(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await sql(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await sql(admin, f"CREATE DATABASE {name}_backup TEMPLATE {name} STRATEGY file_copy")
    await sql(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    try:
        yield f"{name}_backup"
    finally:
        await sql(admin, f"DROP DATABASE IF EXISTS {name}_backup WITH (FORCE)")


async def restore(server: Server, where: Address, copy: str) -> None:
    """Put the copy into the place of the database."""
    admin = server.named("postgres")
    await sql(admin, f"DROP DATABASE {name_of(where)} WITH (FORCE)")
    await sql(admin, f"ALTER DATABASE {copy} RENAME TO {name_of(where)}")
