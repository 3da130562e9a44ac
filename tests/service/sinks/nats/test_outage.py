"""An hour without the bus, with the drainer, on a real Postgres; tests/e2e/real/test_nats_outage.py has a real bus."""

from __future__ import annotations

from batkol.store.postgres.address import Address
from support.nats.double import NatsDouble
from support.sinks.hours import check, hour_without


async def test_an_hour_without_the_bus_loses_nothing_and_costs_the_database_little(where: Address) -> None:
    async with NatsDouble() as server:
        server.jetstream.add("batkol", "batkol.>")
        outage = await hour_without(server.url, where, server.kill, server.start)
        stored = [message.headers["Nats-Msg-Id"] for message in server.jetstream.streams["batkol"].messages]
    await check(outage, where, stored)
    assert outage.waited_s <= 35.0
