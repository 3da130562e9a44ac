"""A real Prometheus sees faults of the store and of sinks: each alert fires with its labels, and ends after it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from batkol.store.journal.disk import FILE
from batkol.store.postgres.address import Address
from batkol.voices.marked.voice import script
from support.http.webhook_receiver import receiving, status
from support.postgres.server import Server, database, running_server
from support.postgres.sql import sql
from support.prometheus.watching import calling, of_agent, of_series, watching
from support.service.stack import QUICK, Stack, stack, stored

HELLO = script([["שלום", "תודה"]], lead_ms=200, tail_ms=800).mulaw
SECRET: Final = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)


@asynccontextmanager
async def keeping(folder: Path, where: Address, url: str = "http://127.0.0.1:9/", **given: Any) -> AsyncIterator[Stack]:
    """A service that keeps its calls there, and hands them on to that receiver."""
    sinks = json.dumps({"crm": {"kind": "webhook", "url": url, "secretEnv": "CRM_SECRET"}})
    async with stack(folder / "live", speed=QUICK, **stored(folder, where), sinks=sinks, **given) as up:
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
