"""`kill -9`: every final that a subscriber saw is in the table, once."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.client import ClientError
from batkol.events.events import AnyEvent, CallEnded, FinalText, RevisedText
from batkol.simulators.client.watching import watching
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import place_call
from batkol.simulators.twilio.plan import CallPlan, CallReport
from batkol.simulators.twilio.webhook import Webhook, call_completed
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import engine_without_timeout
from batkol.store.postgres.ends import LOST
from batkol.store.postgres.open_calls import Closed, close_open
from batkol.voices.marked.voice import script
from support.postgres.sql import age, connection, sql, texts
from support.postgres.store_parts import Kept
from support.service.process import Served, serving
from support.service.stack import TOKEN
from support.time.waiting import eventually, until

TESTS = Path(__file__).parents[2]
TALK = script([["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"], ["לא", "תודה"]], gap_ms=900, tail_ms=900)


def environment(where: Address, folder: Path) -> dict[str, Any]:
    memory = folder / "memory"
    memory.mkdir(exist_ok=True)
    return {
        "STORE": "postgres",
        "DATABASE_URL": where.dsn,
        "DATABASE_STATEMENT_TIMEOUT_S": "1",
        "JOURNAL_DIR": str(folder / "journal"),
        "JOURNAL_MEMORY_DIR": str(memory),
    }


@asynccontextmanager
async def publishing(
    where: Address, folder: Path, finals: int, calls: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, with its internal port read, and nothing said yet."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.postgres.publisher_process", str(finals), str(calls),
        cwd=TESTS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **environment(where, folder), "TWILIO_AUTH_TOKEN": TOKEN, "PUBLIC_BASE_URL": "https://x"},
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def saw(port: int, seen: list[AnyEvent], listening: asyncio.Event) -> None:
    with suppress(ClientError):
        async with watching(f"http://127.0.0.1:{port}") as events:
            listening.set()
            async for event in events:
                seen.append(event)  # noqa: PERF401  a kill ends it in the middle


def finals(seen: list[AnyEvent]) -> dict[tuple[str, int], str]:
    return {(event.call_sid, event.index): event.text for event in seen if isinstance(event, FinalText)}


async def deliver_what_is_left(where: Address, folder: Path) -> None:
    """What the next start of a killed pod does first."""
    restarted = Kept(where, folder)
    await restarted.open()
    await restarted.written()
    await restarted.close()


@pytest.mark.nightly
@pytest.mark.timeout(240)
@pytest.mark.parametrize("locked", [True, False])
async def test_with_hundreds_of_finals_in_flight(where: Address, tmp_path: Path, *, locked: bool) -> None:
    """With the tables locked, none of them is in the database when the process dies."""
    count, calls = 600, 20
    seen: list[AnyEvent] = []
    async with publishing(where, tmp_path, count, calls) as process, connection(where) as other:
        assert process.stdout is not None
        assert process.stdin is not None
        port = int(await process.stdout.readline())
        listening = asyncio.Event()
        following_ = asyncio.create_task(saw(port, seen, listening))
        await asyncio.wait_for(listening.wait(), 30)
        lock = other.transaction()
        await lock.start()
        if locked:
            await other.execute("LOCK TABLE calls")
        process.stdin.write(b"go\n")
        await until(lambda: len(finals(seen)) >= 500, 50)
        process.kill()
        await process.wait()
        await asyncio.wait_for(following_, 20)
        if locked:
            assert await other.fetch("SELECT * FROM utterances") == []
        await lock.rollback()
    await deliver_what_is_left(where, tmp_path)

    stored = {(call, index): text for call, index, text in await texts(where)}
    assert len(finals(seen)) >= 500
    assert finals(seen).items() <= stored.items()
    assert len(stored) == len(await texts(where))
    assert [lead["calls"] for lead in await sql(where, "SELECT calls FROM leads")] == [1] * calls


async def tell_the_end(plan: CallPlan, pod: Served, seconds: float) -> None:
    """Twilio's last callback of a call, to whichever pod."""
    to = replace(plan, base_url=f"http://127.0.0.1:{pod.port}")
    report = CallReport(plan.call_sid, plan.frame_s)
    async with httpx.AsyncClient(verify=False) as http:
        await Webhook(http, to, report).post_status(f"{plan.public_base}/twilio/status", call_completed(plan, seconds))
    assert report.clean, report.violations


async def ends(where: Address) -> dict[str, str | None]:
    return {row["call_sid"]: row["end_reason"] for row in await sql(where, "SELECT call_sid, end_reason FROM calls")}


async def streams_of(where: Address, call_sid: str, count: int) -> bool:
    """Whether the database knows of so many streams of a call."""
    rows = await sql(where, "SELECT cardinality(stream_sids) AS streams FROM calls WHERE call_sid = $1", call_sid)
    return [row["streams"] for row in rows] == [count]


async def assert_all_is_stored(where: Address, seen: list[AnyEvent]) -> None:
    rows = await sql(where, "SELECT call_sid, index, text, revised_text FROM utterances")
    kept = {((row["call_sid"], row["index"]), row["text"]) for row in rows}
    revisions = {(event.call_sid, event.index): event.text for event in seen if isinstance(event, RevisedText)}
    assert finals(seen).items() <= kept
    assert revisions.items() <= {((row["call_sid"], row["index"]), row["revised_text"]) for row in rows}


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_a_killed_service_has_stored_what_was_seen_and_its_calls_end_as_twilio_tells_another_or_go_on_there(
    where: Address, tmp_path: Path
) -> None:
    """Of three calls in mid-call one is told to be over, one goes on with another pod, and one is given up."""
    double = SpeechDouble()
    port = await double.start()
    pods = {name: tmp_path / name for name in ("first", "second")}
    for folder in pods.values():
        folder.mkdir()
    settings = {name: environment(where, folder) for name, folder in pods.items()}
    try:
        async with serving(pods["first"], port, **settings["first"]) as pod:
            told, silent, moved = plans = [pod.plan(TALK.mulaw, status_path=None) for _ in range(3)]
            placed = [asyncio.create_task(place_call(plan)) for plan in plans]
            sids = {plan.call_sid for plan in plans}
            await pod.until(FinalText, 5)
            await until(lambda: {call for call, _ in finals(pod.events)} == sids, 30)
            pod.process.kill()
            await pod.exited()
            await asyncio.gather(*placed)
        assert not any(isinstance(event, CallEnded) for event in pod.events)
        await deliver_what_is_left(where, pods["first"])
        await assert_all_is_stored(where, pod.events)
        assert await ends(where) == dict.fromkeys(sids)

        # What the second pod told Twilio that it has, it has, killed at once as it is.
        async with (
            serving(pods["second"], port, subscribe=False, **settings["second"]) as pod,
            connection(where) as other,
            other.transaction(),
        ):
            await other.execute("LOCK TABLE call_statuses")
            await tell_the_end(told, pod, 12.0)
            pod.process.kill()
            await pod.exited()
        assert await ends(where) == dict.fromkeys(sids)
        async with serving(pods["second"], port, **settings["second"]) as pod:

            async def is_told() -> bool:
                return (await ends(where))[told.call_sid] == "completed"

            await eventually(is_told)
            await tell_the_end(told, pod, 12.0)
            await age(where, 30)
            going_on = asyncio.create_task(place_call(pod.plan(TALK.mulaw, call_sid=moved.call_sid)))
            await pod.until(FinalText)
            await eventually(lambda: streams_of(where, moved.call_sid, 2))  # else it is as silent as the other one
            engine = engine_without_timeout(where)
            assert await close_open(engine, pause_s=0) == Closed(told=0, lost=1)
            await engine.dispose()
            expected = {told.call_sid: "completed", silent.call_sid: LOST, moved.call_sid: None}
            assert await ends(where) == expected
            await going_on
            await pod.until(CallEnded)

            async def has_ended() -> bool:
                return await ends(where) == expected | {moved.call_sid: "stop"}

            await eventually(has_ended)
            await assert_all_is_stored(where, pod.events)
    finally:
        await double.stop()
    (lead,) = await sql(where, "SELECT calls FROM leads")
    assert lead["calls"] == 3
    (told_row,) = await sql(where, "SELECT duration_s FROM calls WHERE end_reason = 'completed'")
    assert told_row["duration_s"] == 12
    (lost_row,) = await sql(
        where,
        "SELECT extract(epoch FROM ended_at - stream_started_at)::float AS s FROM calls WHERE end_reason = 'lost'",
    )
    assert 0 <= lost_row["s"] < 60, "where it was last heard of, and not where it was given up"
