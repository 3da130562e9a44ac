"""A real Postgres for tests: one server for the session, a fresh database with our tables for each test."""

from __future__ import annotations

import itertools
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from batkol.store.dev_postgres.server import Embedded
from batkol.store.postgres.address import Address, address

FAST = ("fsync=off", "shared_buffers=32MB", "max_connections=40")
_TEMPLATE = "with_tables"
_numbers = itertools.count(1)


class Server(Embedded):
    """One that listens on TCP too, so that there can be a network in between."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__(folder, port=self.port, options=FAST)

    def named(self, name: str) -> Address:
        """One of its databases, over its socket."""
        return address(self.url.replace("/postgres?", f"/{name}?"))

    def over_tcp(self, where: Address, port: int = 0) -> Address:
        """The same database over TCP, or over what stands for it on another port."""
        name = where.dsn.partition("?")[0].rpartition("/")[2]
        return address(f"postgresql://postgres@127.0.0.1:{port or self.port}/{name}")


@contextmanager
def running_server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="batkol-test-pg-"))  # pytest's own folders are closed to other users
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@asynccontextmanager
async def database(server: Server, *, template: str | None = _TEMPLATE) -> AsyncIterator[Address]:
    """A database of its own: a copy of the one with tables, or an empty one."""
    name = f"test_{next(_numbers)}"
    admin = server.named("postgres")
    await sql(admin, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield server.named(name)
    finally:
        await sql(admin, f"DROP DATABASE {name} WITH (FORCE)")


async def make_template(server: Server) -> None:
    from batkol.store.postgres import migrate

    await sql(server.named("postgres"), f"CREATE DATABASE {_TEMPLATE}")
    await migrate.upgrade(server.named(_TEMPLATE))


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


async def everything(
    where: Address, tables: Sequence[str] = ("calls", "utterances", "events", "leads", "call_statuses")
) -> Any:
    """All that is kept, but for when it was written and what Postgres numbers itself."""
    found = {}
    for table in tables:
        rows = await sql(where, f"SELECT * FROM {table}")
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
        ):
            moved = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await other.execute(f"UPDATE {table} SET {moved}", timedelta(hours=hours))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
