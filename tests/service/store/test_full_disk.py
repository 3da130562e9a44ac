"""A Postgres whose disk is full, in truth: on a file system of a few megabytes with not a byte left.

Where nothing can be mounted, these tests are skipped with the reason; `test_long_outages` then still has the same error
from a trigger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from batkol.store.dev_postgres import server_user
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.voices.marked.voice import script
from support.files.small_disk import small_disk
from support.postgres.records import finals_of
from support.postgres.server import WITH_TABLES, Server, server_in
from support.postgres.sql import sql, texts
from support.postgres.store_parts import Kept
from support.service.stack import Stack, stack, stored
from support.time.waiting import eventually

pytestmark = pytest.mark.usefixtures("hasty_writer")

TOKEN = "a-made-up-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SPEECH = script([["שלום", "תודה"]], tail_ms=700)


async def test_a_full_tablespace_is_waited_for_and_gets_everything_once(server: Server, tmp_path: Path) -> None:
    """The table of calls cannot get its first page."""
    admin = server.named("postgres")
    with small_disk(24) as disk:
        space = disk.folder / "space"
        space.mkdir()
        server_user.give(space)
        await sql(admin, f"CREATE TABLESPACE small LOCATION '{space}'")
        try:
            await sql(admin, f"CREATE DATABASE on_small TEMPLATE {WITH_TABLES} TABLESPACE small")
            try:
                where = server.named("on_small")
                kept = Kept(where, tmp_path)
                await kept.open()
                assert await texts(where) == []  # the first connection writes a file, without which none can be made
                disk.fill()
                with capture_logs() as lines:
                    await kept.say_in_vain()
                    state, fault = kept.writer.state.value, kept.writer.fault
                    held_up = await texts(where)
                    disk.empty()
                    await kept.written()
                await kept.close()
                written = await texts(where)
                (lead,) = await sql(where, "SELECT calls FROM leads")
            finally:
                await sql(admin, "DROP DATABASE on_small WITH (FORCE)")
        finally:
            await sql(admin, "DROP TABLESPACE small")

    assert state == "waiting"
    assert "53100" in fault
    assert (held_up, written) == ([], finals_of(0, 1))
    assert lead["calls"] == 2
    assert (kept.journal.refused, kept.dead_letters.count) == (0, 0)
    assert [line["event"] for line in lines if line["log_level"] != "info"] == [outage(lines)["event"]]


async def has_texts(where: Address, calls: set[str]) -> bool:
    """Whether the database has words of each of these calls."""
    return calls <= {call for call, *_ in await texts(where)}


def outage(lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the one line about the full disk: it is not repeated at each attempt."""
    (line,) = [line for line in lines if "53100" in str(line.get("fault"))]
    return line


@pytest.mark.nightly  # it makes a server of its own, and ends it twice
async def test_calls_go_on_while_the_disk_of_the_whole_server_is_full_and_nothing_of_them_is_lost(
    tmp_path: Path,
) -> None:
    """First the tables cannot grow; then the write-ahead log cannot, and Postgres ends itself."""
    with small_disk(128) as disk, server_in(disk.folder / "server") as server:
        await migrate.upgrade(server.address)
        with capture_logs() as lines:
            async with stack(
                tmp_path / "live",
                **stored(tmp_path, server.address),
                api_token=TOKEN,
            ) as up:
                disk.fill()
                calls = [await talked(up)]
                await eventually(lambda: shows(up, "53100"))
                disk.empty()
                await eventually(lambda: shows(up, ""))

                disk.fill()
                with suppress(asyncpg.PostgresError, OSError):
                    for _ in range(200):  # the segments that are there already
                        await sql(server.address, "SELECT pg_logical_emit_message(true, '', repeat('x', 1000000))")
                calls += [await talked(up)]
                await eventually(lambda: shows(up, "Error"))
                log = server.log()
                disk.empty()
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
                await eventually(lambda: shows(up, ""))
                await eventually(lambda: has_texts(server.address, set(calls)))
                written = {call for call, *_ in await texts(server.address)}

    assert 'could not write to file "pg_wal' in log
    assert "database system is shut down" in log
    assert written == set(calls)
    outage(lines)


async def talked(up: Stack) -> str:
    """Make a call; the pod is ready before it and after it."""
    async with httpx.AsyncClient(base_url=up.internal, headers=HEADERS, verify=False) as http:
        assert (await http.get("/readyz")).status_code == 200
        report = await up.call(SPEECH.mulaw)
        assert (await http.get("/readyz")).status_code == 200
    return report.call_sid


async def shows(up: Stack, fault: str) -> bool:
    """Whether `/v1/status` says that the database takes nothing, for this reason; "": that it has everything."""
    async with httpx.AsyncClient(base_url=up.internal, headers=HEADERS, verify=False) as http:
        store = (await http.get("/v1/status")).json()["store"]
    if not fault:
        return store["fault"] is None and not store["backlog"]["records"]
    return store["state"] == "waiting" and fault in store["fault"]
