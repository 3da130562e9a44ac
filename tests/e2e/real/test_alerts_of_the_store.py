"""A real Prometheus sees faults of the store and of sinks: each alert fires with its labels, and ends after it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.store.journal.disk import FILE
from batkol.store.journal.records import encode
from batkol.store.postgres.address import Address
from batkol.store.postgres.outbox_retention import expire_events
from batkol.store.store import Store
from batkol.voices.marked.voice import script
from support.files.small_disk import small_disk
from support.http.webhook_receiver import receiving, status
from support.postgres.backups import backup, restore
from support.postgres.records import talk
from support.postgres.server import Server, database, running_server
from support.postgres.sql import sql
from support.prometheus.watching import again, calling, of_agent, of_series, watching
from support.service.stack import QUICK, Stack, stack, stored
from support.time.waiting import until

HELLO = script([["שלום", "תודה"]], lead_ms=200, tail_ms=800).mulaw
SECRET: Final = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)


@asynccontextmanager
async def keeping(folder: Path, where: Address, url: str = "http://127.0.0.1:9/", **given: Any) -> AsyncIterator[Stack]:
    """A service that keeps its calls there, and hands them on to that receiver."""
    sinks = json.dumps({"crm": {"kind": "webhook", "url": url, "secretEnv": "CRM_SECRET"}})
    async with stack(folder / "live", speed=QUICK, sinks=sinks, **{**stored(folder, where), **given}) as up:
        yield up


async def test_a_database_that_is_away(tmp_path: Path, postgres_data: Path) -> None:
    """Its ranges are ten times shorter, not sixty: the writer asks every few seconds."""
    with running_server(postgres_data) as own:
        async with (
            database(own) as where,
            keeping(tmp_path, where) as up,
            watching(tmp_path, port := up.service.internal_port, times=10) as seen,
        ):
            await up.call(HELLO)
            own.stop()
            async with calling(up, HELLO):
                away = await seen.fires("BatkolDatabaseAway")
                nothing = await seen.fires("BatkolNothingWritten")
                idle = await seen.fires("BatkolSinkNotDrained", sink="crm")
            own.start()
            for alert in ("BatkolDatabaseAway", "BatkolNothingWritten", "BatkolSinkNotDrained"):
                await seen.resolves(alert)

            assert away.items() >= of_series("BatkolDatabaseAway", "warning", port).items()
            assert nothing.items() >= of_series("BatkolNothingWritten", "critical", port).items()
            assert idle == of_agent("BatkolSinkNotDrained", "critical", sink="crm")


async def test_a_database_that_refuses_a_record(tmp_path: Path, server: Server) -> None:
    async with (
        database(server) as where,
        keeping(tmp_path, where) as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        await sql(where, "ALTER TABLE utterances ADD CHECK (text NOT LIKE '%תודה%')")
        await up.call(HELLO)
        fired = await seen.fires("BatkolDeadLetters")
        await seen.resolves("BatkolDeadLetters")

        assert fired.items() >= of_series("BatkolDeadLetters", "warning", port).items()


async def test_a_receiver_that_answers_nothing(tmp_path: Path, server: Server) -> None:
    """The threshold is 2 s in the place of 120."""
    async with (
        database(server) as where,
        receiving(SECRET) as receiver,
        keeping(tmp_path, where, receiver.url) as up,
        watching(tmp_path, up.service.internal_port, BatkolSinkBehind=("> 120", "> 2")) as seen,
    ):
        receiver.otherwise = status(503)
        async with calling(up, HELLO):
            fired = await seen.fires("BatkolSinkBehind")
        receiver.otherwise = status(204)
        await seen.resolves("BatkolSinkBehind")

        assert fired == of_agent("BatkolSinkBehind", "warning", sink="crm")
        assert receiver.violations == []


async def test_a_receiver_that_refuses_for_good(tmp_path: Path, server: Server) -> None:
    async with (
        database(server) as where,
        receiving(SECRET) as receiver,
        keeping(tmp_path, where, receiver.url) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        receiver.answers = [status(410)]
        await up.call(HELLO)
        fired = await seen.fires("BatkolSinkDeadLetters")
        await seen.resolves("BatkolSinkDeadLetters")

        assert fired == of_agent("BatkolSinkDeadLetters", "warning", sink="crm")


async def test_a_journal_that_was_damaged(tmp_path: Path, server: Server) -> None:
    async with database(server) as where:
        settings = stored(tmp_path, where)
        settings["journal_dir"].mkdir()
        (settings["journal_dir"] / FILE).write_bytes(b"this is no journal" * 500)
        async with (
            stack(tmp_path / "live", speed=QUICK, **settings) as up,
            watching(tmp_path, port := up.service.internal_port) as seen,
        ):
            fired = await seen.fires("BatkolJournalDamaged")

            assert fired.items() >= of_series("BatkolJournalDamaged", "critical", port).items()


async def test_a_database_that_is_slow(tmp_path: Path, server: Server) -> None:
    """It takes a second for each batch. The threshold is 0.3 s in the place of 60, and times are 20 times shorter."""
    async with (
        database(server) as where,
        keeping(tmp_path, where) as up,
        watching(tmp_path, port := up.service.internal_port, times=20, BatkolStoreBehind=("> 60", "> 0.3")) as seen,
    ):
        sleep = "BEGIN PERFORM pg_sleep(1); RETURN NULL; END"
        await sql(where, f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ {sleep} $$")
        await sql(where, "CREATE TRIGGER slow AFTER INSERT ON utterances EXECUTE FUNCTION slow()")
        async with calling(up, HELLO, callers=4):
            fired = await seen.fires("BatkolStoreBehind")
        await sql(where, "DROP TRIGGER slow ON utterances")
        await seen.resolves("BatkolStoreBehind")

        assert fired.items() >= of_series("BatkolStoreBehind", "warning", port).items()


async def test_a_journal_that_grows_until_it_is_full(tmp_path: Path, postgres_data: Path) -> None:
    """Its limit is 1 MiB, and its records come as those of many calls do. An age is 2 s in the place of 60."""
    younger = ("seconds > 60", "seconds > 2")
    with running_server(postgres_data) as own:
        async with (
            database(own) as where,
            keeping(tmp_path, where, journal_max_mb=1) as up,
            watching(tmp_path, port := up.service.internal_port, BatkolJournalFullSoon=younger) as seen,
        ):
            own.stop()
            numbers = iter(range(100_000))
            async with again(lambda: _many(up, numbers)):
                soon = await seen.fires("BatkolJournalFullSoon")
                half = await seen.fires("BatkolJournalFilling")
                full = await seen.fires("BatkolJournalRefuses")
            own.start()
            for alert in ("BatkolJournalFullSoon", "BatkolJournalFilling", "BatkolJournalRefuses"):
                await seen.resolves(alert)

            assert soon.items() >= of_series("BatkolJournalFullSoon", "critical", port).items()
            assert half.items() >= of_series("BatkolJournalFilling", "warning", port).items()
            assert full.items() >= of_series("BatkolJournalRefuses", "critical", port).items()


async def _many(up: Stack, numbers: Iterator[int]) -> None:
    """Records of ten calls."""
    assert isinstance(up.service.store, Store)
    for record in (record for _ in range(10) for record in talk(next(numbers))):
        up.service.store.journal.append(encode(record))


async def test_a_disk_that_takes_nothing(tmp_path: Path, postgres_data: Path) -> None:
    """With the database away as well: what goes to it at once needs no disk."""
    with small_disk(8) as disk, running_server(postgres_data) as own:
        async with (
            database(own) as where,
            keeping(tmp_path, where, journal_dir=disk.folder / "journal") as up,
            watching(tmp_path, port := up.service.internal_port) as seen,
        ):
            await up.call(HELLO)
            own.stop()
            disk.fill()
            async with calling(up, HELLO):
                fired = await seen.fires("BatkolJournalDiskFails")
            disk.empty()
            await seen.resolves("BatkolJournalDiskFails")
            own.start()

            assert fired.items() >= of_series("BatkolJournalDiskFails", "warning", port).items()


async def test_a_database_that_is_restored_from_a_backup(tmp_path: Path, server: Server) -> None:
    async with (
        database(server) as where,
        stack(tmp_path / "live", speed=QUICK, **stored(tmp_path, where)) as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        await _written(up)
        async with backup(server, where) as copy:
            await _written(up)
            await restore(server, where, copy)
            async with calling(up, HELLO):
                fired = await seen.fires("BatkolDatabaseWentBack")

        assert fired.items() >= of_series("BatkolDatabaseWentBack", "critical", port).items()


async def _written(up: Stack) -> None:
    """A call, all of which is in the database."""
    await up.call(HELLO)
    await until(lambda: up.service.status().store.backlog.records == 0)


async def test_events_that_are_a_week_old(tmp_path: Path, server: Server) -> None:
    """Their receiver answers 503 all the time. The database is told that they are older, and is cleaned up."""
    async with (
        database(server) as where,
        receiving(SECRET) as receiver,
        keeping(tmp_path, where, receiver.url) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        receiver.otherwise = status(503)
        await _written(up)
        await sql(where, "UPDATE outbox SET written_at = written_at - interval '8 days'")
        assert isinstance(up.service.store, Store)
        assert await expire_events(up.service.store.database.reading, 5000) > 0
        fired = await seen.fires("BatkolSinkExpired")

        assert fired == of_agent("BatkolSinkExpired", "critical", sink="crm")


async def test_summaries_that_fail_five_times(tmp_path: Path, server: Server) -> None:
    """The model refuses each. The database is told that the earlier attempts were longer ago than they were."""
    async with (
        LLMDouble(LLMSettings(profile="fixed:100")) as llm,
        database(server) as where,
        stack(
            tmp_path / "live",
            speed=QUICK,
            answerer="openai",
            answerer_url=await llm.start(),
            answerer_model="gpt-4.1",
            summary_prompt="Sum it up.",
            **stored(tmp_path, where),
        ) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        llm.inject(LLMFault(kind=LLMFaultKind.REFUSE, status=401))
        await _written(up)
        async with again(lambda: _due(where)):
            fired = await seen.fires("BatkolSummariesGivenUp")
        await seen.resolves("BatkolSummariesGivenUp")

        assert fired == of_agent("BatkolSummariesGivenUp", "warning")


async def _due(where: Address) -> None:
    """Let what is to be done later be due now."""
    await sql(where, "UPDATE calls SET updated_at = now() - interval '60 s'")
    await sql(where, "UPDATE summaries SET due_at = now() WHERE state = 'waiting' AND reason <> ''")
