"""After a failover with the old primary alive and only reading, every connection leads to the new one soon."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from batkol.store.postgres import primary
from batkol.store.postgres.address import Address
from support.network.ports import free_port
from support.network.relay import Relay, relaying
from support.postgres.history_api import Past, past, whole
from support.postgres.records import sid
from support.postgres.server import WITH_TABLES, Server, name_of, running_server
from support.postgres.sql import connection, sql, texts
from support.postgres.store_parts import Kept
from support.time.waiting import until


@pytest.fixture(scope="module")
def old(postgres_data: Path) -> Iterator[Server]:
    """The one that is the primary no longer."""
    with running_server(postgres_data) as running:
        yield running


@asynccontextmanager
async def failing_over(
    old: Server, new: Server, where: Address, folder: Path
) -> AsyncIterator[tuple[Kept, Past, Relay, Address]]:
    """A writer and an API behind a name that leads to the old server; what it has, the new one has."""
    name = name_of(where)
    there = old.named(name)
    await sql(old.named("postgres"), f"CREATE DATABASE {name} TEMPLATE {WITH_TABLES} STRATEGY file_copy")
    try:
        async with relaying(old.port) as relay:
            (folder / "before").mkdir()
            before = Kept(where, folder / "before")
            kept = Kept(new.over_tcp(where, relay.port), folder)
            async with past(kept, pool_size=2) as house:
                kept.database = house.database
                kept.writer._database = house.database  # one database for both, as in the service
                await kept.open()
                await before.open()
                kept.say(whole(0))
                await kept.written()
                before.say(whole(0))
                await before.written()
                await before.close()
                yield kept, house, relay, there
                await kept.close()
    finally:
        await set_read_only(there, on=False)
        await sql(old.named("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


async def set_read_only(where: Address, *, on: bool) -> None:
    """Have the whole server only read, or not: what it says then to old connections and to new ones."""
    async with connection(where) as other:
        await other.execute("SET default_transaction_read_only = off")
        await other.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        await other.execute("SELECT pg_reload_conf()")
    await eventually_reads(where, "on" if on else "off")


async def eventually_reads(where: Address, wanted: str) -> None:
    async with asyncio.timeout(20):
        while (await sql(where, "SHOW default_transaction_read_only"))[0]["default_transaction_read_only"] != wanted:
            await asyncio.sleep(0.01)


async def test_what_an_agent_says_of_a_lead_goes_to_the_new_primary_at_once(
    old: Server, server: Server, where: Address, tmp_path: Path
) -> None:
    async with failing_over(old, server, where, tmp_path) as (_, house, relay, there):
        (lead,) = (await house.read("/v1/leads"))["leads"]
        await set_read_only(there, on=True)
        relay.lead(server.port)
        answer = await house.http.patch(f"/v1/leads/{lead['id']}", json={"name": "דנה"})

        assert (answer.status_code, answer.json()["name"]) == (200, "דנה")
        assert [row["name"] for row in await sql(where, "SELECT name FROM leads")] == ["דנה"]
        assert [row["name"] for row in await sql(there, "SELECT name FROM leads")] == [None]


async def test_what_is_read_comes_from_the_new_primary_though_nobody_writes(
    old: Server, server: Server, where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "CHECKED_S", 0.0)
    async with failing_over(old, server, where, tmp_path) as (_, house, relay, there):
        await house.read("/v1/leads")
        await set_read_only(there, on=True)
        relay.lead(server.port)
        await sql(where, "UPDATE leads SET name = 'דנה'")

        assert [lead["name"] for lead in (await house.read("/v1/leads"))["leads"]] == ["דנה"]


async def test_the_writer_goes_to_the_new_primary_and_the_api_with_it(
    old: Server, server: Server, where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "CHECKED_S", 1e9)  # so that the API itself asks nothing
    async with failing_over(old, server, where, tmp_path) as (kept, house, relay, there):
        await house.read("/v1/history/calls")
        await set_read_only(there, on=True)
        relay.lead(server.port)
        kept.say(whole(1))
        await kept.written()

        assert {call for call, _, _ in await texts(where)} == {sid(0), sid(1)}
        assert {call for call, _, _ in await texts(there)} == {sid(0)}
        assert kept.writer.retries == 1
        shown = (await house.read("/v1/history/calls"))["calls"]
        assert [call["call_sid"] for call in shown] == [sid(1), sid(0)]


async def test_while_the_name_still_leads_to_the_old_one_it_is_read_there_and_left_when_the_name_changes(
    old: Server, server: Server, where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "CHECKED_S", 0.0)
    async with failing_over(old, server, where, tmp_path) as (kept, house, relay, there):
        await set_read_only(there, on=True)
        for _ in range(3):
            assert len((await house.read("/v1/leads"))["leads"]) == 1, "better than nothing"
        kept.say(whole(1))
        await until(lambda: "25006" in kept.writer.fault)
        relay.lead(server.port)
        await kept.written()

        assert (await house.read("/v1/leads"))["leads"][0]["calls"] == 2


@pytest.mark.parametrize("old_first", [True, False])
async def test_of_several_hosts_the_one_that_takes_writes_is_chosen_and_followed(
    old: Server, server: Server, where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, old_first: bool
) -> None:
    monkeypatch.setattr(primary, "CHECKED_S", 0.0)
    async with failing_over(old, server, where, tmp_path) as (_, _, _, there):
        await set_read_only(there, on=True)
        hosts = [f"127.0.0.1:{each.port}" for each in ((old, server) if old_first else (server, old))]
        name = name_of(where)
        both = msgspec.structs.replace(where, dsn=f"postgresql://postgres@{','.join(hosts)}/{name}")
        (tmp_path / "both").mkdir()
        kept = Kept(both, tmp_path / "both")
        await kept.open()
        kept.say(whole(1))
        await kept.written()
        async with past(kept) as house:
            shown = (await house.read("/v1/history/calls"))["calls"]
        await kept.close()

        assert kept.writer.retries == 0
        assert [call["call_sid"] for call in shown] == [sid(1), sid(0)]
        assert {call for call, _, _ in await texts(where)} == {sid(0), sid(1)}


async def test_several_hosts_that_only_read_are_read_from(
    old: Server, server: Server, where: Address, tmp_path: Path
) -> None:
    async with failing_over(old, server, where, tmp_path) as (kept, _, _, there):
        await set_read_only(there, on=True)
        name = name_of(where)
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{old.port}"
        away = msgspec.structs.replace(where, dsn=f"postgresql://postgres@{hosts}/{name}")
        async with past(kept, away) as house:
            assert len((await house.read("/v1/leads"))["leads"]) == 1


async def test_a_connection_that_broke_at_rest_is_replaced_and_nobody_is_told(
    old: Server, server: Server, where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "CHECKED_S", 0.0)
    async with failing_over(old, server, where, tmp_path) as (_, house, relay, _):
        await house.read("/v1/leads")
        relay.cut()

        assert len((await house.read("/v1/leads"))["leads"]) == 1
