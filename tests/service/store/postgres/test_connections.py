"""The pools, and how they end."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from batkol.store.postgres import connections as under_test
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import Database
from support.network.relay import relaying
from support.postgres.server import Server


async def ask(engine: AsyncEngine, together: asyncio.Barrier) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await together.wait()


async def test_connections_to_a_server_that_no_longer_answers_are_dropped_together(
    server: Server, where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "CLOSING_S", 0.1)
    async with relaying(server.port) as relay:
        database = Database(server.over_tcp(where, relay.port), pool_size=3)
        together = asyncio.Barrier(4)
        await asyncio.gather(ask(database.writing, together), *(ask(database.reading, together) for _ in range(3)))
        relay.swallow()
        with capture_logs() as lines:
            async with asyncio.timeout(database.patience.command_s - 1):  # what one of them took, of four
                await database.close()

        assert [line["fault"] for line in lines if "was dropped" in line["event"]] == ["TimeoutError"]
        assert (database.writing.pool.checkedin(), database.reading.pool.checkedin()) == (0, 0)  # type: ignore[attr-defined]  # a queue's
