"""What runs for as long as the service does is killed, piece by piece, while callers speak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from batkol.events.events import UtteranceStarted
from batkol.simulators.twilio.caller import Caller
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.store.postgres.writer import Writer
from batkol.supervision.tasks import UNOWNED
from batkol.vad.batch import BatchPart, RoundScores
from batkol.vad.engine import VadEngine
from batkol.voices.marked.voice import script
from support.postgres.server import Server, empty_database
from support.postgres.sql import texts
from support.process.killing import cancel, kill_thread
from support.service.stack import QUICK, Stack, stack, words_of
from support.time.waiting import eventually, until

LONG = script([["שלום", "אני", "רוצה", "פגישה"], ["כן", "מספר", "טלפון"]], gap_ms=700, tail_ms=900)
SHORT = script([["שלום", "תודה"]], tail_ms=900)


@asynccontextmanager
async def keeping_calls(server: Server, folder: Path) -> AsyncIterator[tuple[Stack, httpx.AsyncClient, Address]]:
    """A service that keeps its calls, a client of its internal API, and its database."""
    (folder / "memory").mkdir()
    async with empty_database(server) as where:
        await migrate.upgrade(where)
        keeps: dict[str, Any] = {
            "store": "postgres",
            "database_url": where.dsn,
            "journal_dir": folder / "journal",
            "journal_memory_dir": folder / "memory",
        }
        async with (
            stack(folder / "live", **keeps) as up,
            httpx.AsyncClient(base_url=up.internal, verify=False) as http,
        ):
            yield up, http, where


def speaking(up: Stack) -> bool:
    return any(isinstance(event, UtteranceStarted) for events in up.heard.events.values() for event in events)


def lives_again(up: Stack, name: str, deaths: int) -> bool:
    """Whether it has died so often, and runs, or has nothing to do."""
    status = up.service.tasks.status()[name]
    return status.deaths == deaths and status.state in {"running", "idle"}


def others(up: Stack) -> set[str]:
    """Return the tasks that do not run, but for those that have nothing to do."""
    shown = up.service.tasks.status()
    idle = {UNOWNED, "listener", "store.version"}
    return {name for name, task in shown.items() if name not in idle and task.state != "running"}


async def tasks_of(http: httpx.AsyncClient) -> dict[str, Any]:
    shown: dict[str, Any] = (await http.get("/v1/status")).json()["tasks"]
    return shown


async def test_each_task_is_killed_while_a_caller_speaks_and_no_word_is_lost(server: Server, tmp_path: Path) -> None:
    async with keeping_calls(server, tmp_path) as (up, http, where):
        call = asyncio.create_task(up.call(LONG.mulaw))
        await up.heard.until(lambda: speaking(up))
        before = await tasks_of(http)
        assert before.pop(UNOWNED)["deaths"] == 0
        await until(lambda: up.service.tasks.status()["store.version"].state == "idle")  # it has done its work
        del before["store.version"]
        assert {task["state"] for task in before.values()} == {"running"}
        assert {name for name, task in before.items() if task["needed_to_hear"]} == {
            "calls.heartbeat",
            "listener",
            "thread.vad",
        }
        for name in before:
            assert cancel(name) == 1, name
            await until(partial(lives_again, up, name, 1))
            assert (await http.get("/readyz")).status_code == 200
        await until(lambda: cancel("live.notice") == 1)  # the one of the new life of `live`
        await until(partial(lives_again, up, "live", 2))
        report = await call

        assert report.clean
        assert up.heard.texts(report.call_sid) == words_of(LONG)
        after = await tasks_of(http)
        assert after.pop(UNOWNED)["deaths"] == 0
        assert {name for name, task in after.items() if task["deaths"]} == set(before)
        await until(lambda: others(up) == set())
        samples = [
            sample
            for family in text_string_to_metric_families((await http.get("/metrics")).text)
            for sample in family.samples
            if sample.name == "batkol_tasks_died_total"
        ]
        counted = {sample.labels["task"]: sample.value for sample in samples}
        assert counted == {**dict.fromkeys(before, 1), "live": 2, UNOWNED: 0, "store.version": 0}

        second = await up.call(SHORT.mulaw)
        assert up.heard.texts(second.call_sid) == words_of(SHORT)

        async def written() -> bool:
            return len(await texts(where)) == 3

        await eventually(written)


async def test_the_detectors_thread_is_killed_while_a_caller_speaks_and_no_word_is_lost(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        call = asyncio.create_task(up.call(SHORT.mulaw))
        await up.heard.until(lambda: speaking(up))
        thread = kill_thread("vad")
        report = await call

        assert not thread.is_alive()
        assert up.heard.texts(report.call_sid) == words_of(SHORT)
        shown = up.service.tasks.status()
        assert (shown["thread.vad"].deaths, shown["listener"].deaths) == (1, 0)


async def test_a_detector_that_keeps_dying_keeps_calls_away_and_the_process_goes_when_none_is_left(
    tmp_path: Path,
) -> None:
    def broken(engine: VadEngine, parts: list[BatchPart]) -> RoundScores:
        raise MemoryError

    async with stack(tmp_path, speed=QUICK) as up, httpx.AsyncClient(base_url=up.internal, verify=False) as http:

        async def talk(caller: Caller) -> None:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("batkol.vad.scheduler.score", broken)
                await until(lambda: up.service.tasks.status()["listener"].deaths >= 5)
                ready, alive = await http.get("/readyz"), await http.get("/healthz")
                assert (ready.status_code, ready.json()["status"]) == (503, "keeps dying: listener")
                assert alive.status_code == 200, "a restart would cost a call"
                assert (await tasks_of(http))["listener"]["last_fault"].startswith("MemoryError in broken")
            await until(lambda: up.service.tasks.status()["listener"].deaths >= 5)
            await caller.say(SHORT.mulaw)
            await up.heard.has_finals(caller.plan.call_sid, 1)

        report = await up.call(script=talk)
        assert up.heard.texts(report.call_sid) == words_of(SHORT), "the call itself goes on"

        async def is_gone() -> bool:
            gone = await http.get("/healthz")
            return (gone.status_code, gone.json()["status"]) == (503, "keeps dying: listener")

        await eventually(is_gone)  # the call is over a little after its last event


@pytest.mark.nightly
async def test_a_writer_that_keeps_dying_touches_neither_readiness_nor_liveness_and_loses_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(self: Writer) -> None:
        raise AttributeError

    async with keeping_calls(server, tmp_path) as (up, http, where):
        with monkeypatch.context() as broken:
            broken.setattr(Writer, "_turn_whatever_comes", dies)
            report = await up.call(SHORT.mulaw)
            await until(lambda: up.service.tasks.status()["store.writer"].deaths >= 5)
            assert (await http.get("/readyz")).status_code == (await http.get("/healthz")).status_code == 200
            writer = (await tasks_of(http))["store.writer"]
            assert (writer["state"], writer["needed_to_hear"]) == ("failing", False)

        async def written() -> bool:
            found = await texts(where)
            return [sid for sid, _, _ in found].count(report.call_sid) == 1

        await eventually(written)
