"""An hour without a real nats-server, with the drainer, on a real Postgres."""

from __future__ import annotations

from pathlib import Path

from support.nats.server import NatsServer
from support.postgres.server import database, running_server
from support.sinks.hours import check, hour_without


async def test_an_hour_without_the_server_loses_nothing_and_costs_the_database_little(
    tmp_path: Path, postgres_data: Path
) -> None:
    with running_server(postgres_data) as postgres:
        async with database(postgres) as where, NatsServer(tmp_path) as server:
            await server.add_stream("batkol", ["batkol.>"])
            outage = await hour_without(server.url, where, server.kill, server.start)
            await check(outage, where, [message.id for message in await server.stored()])
    assert outage.waited_s <= 35.0
