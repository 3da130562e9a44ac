"""A call moves to another stream (hold, transfer, a new route) while the last finals of the first are still to come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from batkol.calls import ending
from batkol.events.events import CallEnded, CallStarted, FinalText, PartialText, RevisedText
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.twilio.caller import Caller, CallReport
from batkol.store.postgres import migrate
from batkol.voices.marked.voice import script
from support.postgres.server import running_server
from support.postgres.sql import sql
from support.service.stack import QUICK, Stack, plain, stack
from support.time.waiting import eventually, until
from support.twilio import dialing

FIRST = script([["שלום", "אני", "רוצה"]], lead_ms=300, tail_ms=200)
SECOND = script([["כן", "מספר", "טלפון"]], lead_ms=300, tail_ms=900)
SLOW = Fault(kind=Kind.SLOW_FINALS, latency_s=3.0)


def streams(up: Stack, call_sid: str) -> list[str]:
    return [event.stream_sid for event in up.heard.of(call_sid, CallStarted)]


def record(up: Stack, call_sid: str, stream_sid: str) -> list[str]:
    """What is kept of one stream: its finals as revised."""
    texts = dict[int, str]()
    for event in up.heard.events[call_sid]:
        if isinstance(event, FinalText | RevisedText) and event.stream_sid == stream_sid:
            texts[event.index] = plain(event.text)
    return [text for _, text in sorted(texts.items()) if text]


async def done(up: Stack, report: CallReport, count: int = 2) -> None:
    await up.heard.until(lambda: len(up.heard.of(report.call_sid, CallEnded)) == count)


@pytest.mark.parametrize("stop", [True, False], ids=["with a stop", "without one"])
async def test_the_next_stream_is_heard_at_once_and_both_streams_keep_their_words(tmp_path: Path, stop: bool) -> None:
    """There is one place, and Google's finals take 3 s."""
    async with stack(tmp_path, speed=QUICK, max_calls=1) as up:
        up.double.inject(SLOW)

        async def talk(caller: Caller) -> None:
            await caller.say(FIRST.mulaw)
            await up.heard.until(lambda: up.heard.of(caller.plan.call_sid, PartialText))
            await caller.move(stop=stop)
            await caller.say(SECOND.mulaw)

        with capture_logs() as logs:
            report = await up.call(script=talk)
            await done(up, report)

        sid = report.call_sid
        assert (report.streams, report.said, report.violations) == (2, [], [])
        assert report.left_codes == [1000]
        first, second = streams(up, sid)
        assert [began.stream for began in up.heard.of(sid, CallStarted)] == [1, 2]
        ends = {end.stream_sid: end.reason for end in up.heard.of(sid, CallEnded)}
        assert ends == {first: "stop" if stop else "replaced", second: "stop"}
        assert record(up, sid, first) == [FIRST.text]
        assert record(up, sid, second) == [SECOND.text]
        began = next(i for i, e in enumerate(up.heard.events[sid]) if isinstance(e, CallStarted) and e.seq == 1 and i)
        assert not any(isinstance(event, CallEnded) for event in up.heard.events[sid][:began]), "it did not wait"
        assert not [line for line in logs if "refused" in line["event"] or "call refused" in line["event"]]
        await until(lambda: not len(up.service.calls))  # its socket is closed after its last event


@pytest.mark.nightly
@pytest.mark.long
async def test_the_record_says_that_a_call_lives_while_an_older_stream_of_it_ends(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    with running_server() as server:
        await migrate.upgrade(server.address)
        store: dict[str, Any] = {
            "store": "postgres",
            "database_url": server.url,
            "journal_dir": tmp_path / "journal",
            "journal_memory_dir": tmp_path / "memory",
        }
        kept = "SELECT ended_at IS NULL AS lives, end_reason, cardinality(stream_sids) AS streams FROM calls"
        async with stack(tmp_path / "live", speed=QUICK, **store) as up:

            async def talk(caller: Caller) -> None:
                sid = caller.plan.call_sid
                await caller.say(FIRST.mulaw)
                async with (
                    httpx.AsyncClient(base_url=up.internal, trust_env=False) as http,
                    http.stream("GET", f"/v1/calls/{sid}/events") as following,
                ):
                    lines = following.aiter_lines()
                    await caller.move()
                    assert "event: call.started" in await read_to(lines, "event: call.ended")
                    caller.say(SECOND.mulaw)
                    await read_to(lines, "event: partial")
                    shown = (await http.get(f"/v1/calls/{sid}")).json()
                    assert (shown["stream_sid"], shown["ending"]) == (streams(up, sid)[1], False)

                async def told_of_the_end() -> bool:
                    rows = await sql(server.address, "SELECT 1 FROM events WHERE kind = 'call.ended'")
                    return len(rows) == 1

                await eventually(told_of_the_end)
                (row,) = await sql(server.address, kept)
                assert (row["lives"], row["streams"]) == (True, 2)

            up.double.inject(SLOW)
            report = await up.call(script=talk)
            await done(up, report)

            async def over() -> bool:
                return not (await sql(server.address, kept))[0]["lives"]

            await eventually(over)
            rows = await sql(server.address, "SELECT stream_sid, coalesce(revised_text, text) AS text FROM utterances")
            words = {row["stream_sid"]: plain(row["text"]) for row in rows if row["text"]}
            assert words == dict(zip(streams(up, report.call_sid), (FIRST.text, SECOND.text), strict=True))


async def read_to(lines: AsyncIterator[str], last: str) -> list[str]:
    read = list[str]()
    while last not in read:
        read.append(await anext(lines))
    return read


async def test_a_stream_that_was_replaced_is_cut_off_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "ENDING_S", 0.3)
    async with stack(tmp_path, speed=QUICK) as up:
        up.double.inject(
            Fault(kind=Kind.STALL, when=Moment.FIRST_AUDIO, running=True), Fault(kind=Kind.STALL, surface=Surface.UNARY)
        )

        async def talk(caller: Caller) -> None:
            await caller.say(FIRST.mulaw)
            await caller.move(stop=False)
            await up.heard.until(lambda: up.heard.of(caller.plan.call_sid, CallEnded))
            await until(lambda: (up.service.calls.active, up.service.calls.ending) == (1, 0))
            up.double.clear()

        with capture_logs() as logs:
            report = await up.call(script=talk)
            await done(up, report)

        (line,) = [line for line in logs if line["event"].startswith("[CALL] call cut off")]
        assert line["ended_by"] == "replaced"


async def test_a_start_that_is_replayed_is_refused_by_its_own_reason_and_the_call_goes_on(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up, dialing.socket(up) as ws, dialing.socket(up) as replaying:
        parameters = await dialing.ask_for_twiml(up, "CA1")
        for text in (dialing.connected(), dialing.start("CA1", parameters), dialing.media(1)):
            await ws.send(text)
        await until(lambda: up.service.calls.get("CA1"))
        with capture_logs() as logs:
            await replaying.send(dialing.connected())
            await replaying.send(dialing.start("CA1", parameters))
            await replaying.wait_closed()

        assert replaying.close_code == 1008
        assert [line["event"] for line in logs if "refused" in line["event"]] == [
            "[CALL] stream refused: this stream SID is open already; this is a replay"
        ]
        call = up.service.calls.get("CA1")
        assert call is not None
        assert call.ended_by == ""
        await ws.send(dialing.stop("CA1"))
        await up.heard.until(lambda: up.heard.of("CA1", CallEnded))
