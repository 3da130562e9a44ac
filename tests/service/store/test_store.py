import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from batkol.store import store as under_test
from batkol.store.journal.framing import frame
from batkol.store.options import DatabaseTimeouts, StoreSettings
from batkol.store.postgres.address import Address
from batkol.store.store import NoStore, Store, running_store
from batkol.store_status import BacklogStatus
from batkol.telemetry.metrics import Metrics
from support.network.ports import free_port
from support.postgres.records import CALLER, ended_event, final_event, identity, sid, started_event
from support.postgres.server import Server, database, empty_database
from support.postgres.sql import sql, texts
from support.time.waiting import eventually, until


@asynccontextmanager
async def store(where: Address | None, folder: Path, **fields: Any) -> AsyncIterator[Store]:
    memory = folder / "memory"
    memory.mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "address": where,
        "database_dir": folder / "postgres",
        "pool_size": 2,
        "patience": DatabaseTimeouts(2.0, 2.0, 2.0),
        "journal_dir": folder / "journal",
        "journal_max_bytes": 1 << 20,
        "retention_days": 0,
        "pod": "pod-1",
        "memory": memory,
    }
    async with running_store(StoreSettings(**{**given, **fields})) as made:
        yield made


def say(made: Store, call: int = 0, finals: int = 2) -> None:
    made.recorder.keep(identity(call), started_event(call))
    for index in range(finals):
        made.recorder.keep(identity(call), final_event(index, call), "ab" * 16)
    made.recorder.keep(identity(call), ended_event(call))


async def test_a_call_is_in_the_database_when_the_service_ends(where: Address, tmp_path: Path) -> None:
    async with store(where, tmp_path) as made:
        say(made)

    assert await texts(where) == [(sid(), 0, "משפט 0"), (sid(), 1, "משפט 1")]
    (call,) = await sql(where, "SELECT end_reason, mode FROM calls")
    assert (call["end_reason"], call["mode"]) == ("stop", "streaming")


async def test_what_could_not_be_written_is_written_by_the_next_start(
    server: Server, where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "FLUSH_S", 0.2)
    with capture_logs() as lines:
        async with store(server.over_tcp(where, free_port()), tmp_path) as made:
            say(made)
            await until(lambda: made.writer.retries and made.status().state == "waiting")
            status = made.status()
    assert [line["records"] for line in lines if "stay in the journal" in line["event"]] == [4]
    assert (status.state, status.backlog.records) == ("waiting", 4)
    assert "Refused" in (status.fault or "")
    async with store(where, tmp_path) as made:
        say(made, 1)
        assert await made.writer.flush(50)

    assert len(await texts(where)) == 4


async def test_the_status_says_how_it_does_and_nothing_of_what_was_said(where: Address, tmp_path: Path) -> None:
    async with store(where, tmp_path) as made:
        say(made)
        await made.writer.flush(30)
        status = made.status()

    assert (status.kind, status.state, status.fault) == ("postgres", "idle", None)
    assert (status.written, status.set_aside, status.retries) == (4, 0, 0)
    assert status.backlog == BacklogStatus()
    assert (status.journal.max_bytes, status.journal.refused) == (1 << 20, 0)
    assert status.database == where.shown
    assert "משפט" not in str(status)


async def test_the_fault_names_the_journal_when_only_its_disk_refuses(where: Address, tmp_path: Path) -> None:
    async with store(where, tmp_path) as made:
        disk = made.journal._disk
        await made.journal._in_thread(
            lambda: disk._opened()._connection.execute("PRAGMA max_page_count = 4").fetchall()
        )
        with capture_logs():
            made.journal._submit(lambda: disk.commit([(1, frame(1, bytes(30_000)))], 0))
            await until(lambda: made.journal.failing)
            status = made.status()

    assert status.fault == "the journal's disk: database or disk is full (SQLITE_FULL)"
    assert status.journal.failing == "database or disk is full (SQLITE_FULL)"


async def test_backlog_age_and_losses_are_metrics(
    server: Server, where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "FLUSH_S", 0.1)
    metrics = Metrics()
    async with store(server.over_tcp(where, free_port()), tmp_path, journal_max_bytes=2200) as made:
        made.expose(metrics)
        with capture_logs():
            say(made, finals=20)
        await until(lambda: made.writer.retries and made.journal.committed == made.journal.last)
        await until(lambda: made.journal._committing is None)  # until then a record is in memory and on the disk
        families = text_string_to_metric_families(metrics.render().decode())
        read = {sample.name: sample.value for family in families for sample in family.samples}
    metrics.close()

    kept = made.journal.waiting
    assert 0 < kept < 22
    assert read["batkol_store_backlog"] == kept
    assert read["batkol_store_refused_total"] == 22 - kept
    assert read["batkol_store_backlog_age_seconds"] > 0
    assert 0 < read["batkol_store_journal_bytes"] <= read["batkol_store_journal_limit_bytes"] == 2200
    assert read["batkol_store_written_total"] == 0
    assert read["batkol_store_set_aside_total"] == 0
    assert read["batkol_store_retries_total"] >= 1


MISSING = "the tables are missing: run `batkol migrate`"


async def test_a_database_without_our_tables_is_said_once_and_waited_for(server: Server, tmp_path: Path) -> None:
    from batkol.store.postgres import migrate

    async with empty_database(server) as empty:
        with capture_logs() as lines:
            async with store(empty, tmp_path) as made:
                say(made)
                await until(lambda: made.writer.retries >= 2)
                await until(lambda: any("run `batkol migrate`" in line["event"] for line in lines))
                await until(lambda: any(line.get("remedy") == MISSING for line in lines))
                await migrate.upgrade(empty)
                assert await made.writer.flush(50)
        assert len(await texts(empty)) == 2
    (line,) = [each["event"] for each in lines if each["log_level"] == "error"]
    assert line.startswith("[STORE] the database has no tables of Batkol; run `batkol migrate`.")


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("older", "[STORE] the database's tables are of an older version; run `batkol migrate`"),
        ("newer", "[STORE] the database's tables are of a newer version; deploy that version again"),
    ],
)
async def test_tables_of_another_version_are_said_to_be_older_or_newer(
    server: Server, tmp_path: Path, version: str, says: str
) -> None:
    from batkol.store.postgres import migrate

    async with database(server) as where:
        number = "9999" if version == "newer" else "0001"
        await sql(where, f"UPDATE {migrate.VERSIONS} SET version_num = '{number}'")
        with capture_logs() as lines:
            async with store(where, tmp_path):
                await until(lambda: any(line["log_level"] == "error" for line in lines))
    (line,) = [each for each in lines if each["log_level"] == "error"]
    assert line["event"].startswith(says)
    assert (line["found"], line["wanted"]) == (number, migrate.head())


async def test_erasing_and_counting(where: Address, tmp_path: Path) -> None:
    async with store(where, tmp_path) as made:
        say(made)
        await made.writer.flush(30)
        assert await made.counts() == {"calls": 1, "utterances": 2, "leads": 1}
        assert (await made.erase(CALLER)).utterances == 2
        assert await made.counts() == {"calls": 1, "utterances": 2, "leads": 0}


async def test_idle_it_leaves_nothing_on_the_pod(
    where: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batkol.store.postgres import writer

    monkeypatch.setattr(writer, "SETTLE_S", 0.1)
    async with store(where, tmp_path) as made:
        say(made)

        async def nothing_left() -> bool:
            paths = [path for path in tmp_path.rglob("*") if path.is_file()]
            return not made.journal.waiting and not any("משפט".encode() in path.read_bytes() for path in paths)

        await eventually(nothing_left)
    assert len(await texts(where)) == 2


def test_none_keeps_nothing_and_says_so() -> None:
    none = NoStore()
    metrics = Metrics()
    none.expose(metrics)
    page = metrics.render().decode()
    metrics.close()

    assert msgspec.json.encode(none.status()) == b'{"kind":"none"}'
    assert "batkol_store" not in page
    none.recorder.keep(identity(), started_event())


async def test_without_a_url_it_brings_a_postgres_of_its_own(tmp_path: Path) -> None:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="batkol-test-pg-"))
    try:
        async with store(None, tmp_path, database_dir=folder) as made:
            say(made)
            await made.writer.flush(30)
            assert await made.counts() == {"calls": 1, "utterances": 2, "leads": 1}
        async with store(None, tmp_path, database_dir=folder) as made:
            assert (await made.counts())["calls"] == 1, "it stays"
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)
