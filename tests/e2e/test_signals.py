"""What an orchestrator does to the process, done to the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from batkol.events.events import CallEnded, FinalText, UtteranceStarted
from batkol.simulators.google.faults import Fault, Kind, Moment
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import place_call
from batkol.voices.marked.voice import script
from support.service.process import Served, serving
from support.service.stack import QUICK, words_of
from support.time.waiting import until

TALK = script([["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"]], gap_ms=900, tail_ms=900)
LONG = script([["שלום", "אני", "רוצה", "כן", "מספר", "טלפון", "תודה"]], tail_ms=900)


@pytest.fixture
async def double() -> AsyncIterator[SpeechDouble]:
    google = SpeechDouble()
    yield google
    await google.stop()


def is_in_good_order(served: Served) -> None:
    """It said good-bye to everybody, and its log has nothing to look into."""
    assert served.subscription_ended
    assert served.faults == []
    assert len(served.said("[DRAIN] drain finished")) == 1


async def test_told_to_go_in_mid_utterance_and_told_again_it_lets_the_call_end_and_then_ends_itself(
    tmp_path: Path, double: SpeechDouble
) -> None:
    async with serving(tmp_path, await double.start(), speed=QUICK) as served:
        live = asyncio.create_task(place_call(served.plan(TALK.mulaw)))
        await served.speaking()
        served.tell(signal.SIGTERM)
        await until(lambda: "[DRAIN] drain started" in served.log.read_text())
        for name in (signal.SIGTERM, signal.SIGINT):
            served.tell(name)  # it has it before what is asked below
        async with httpx.AsyncClient(base_url=served.internal, trust_env=False) as http:
            assert (await http.get("/readyz")).status_code == 503
            assert (await http.get("/healthz")).status_code == 200
            status = (await http.get("/v1/status")).json()
            assert (status["draining"], status["drain"]["calls_left"]) == (True, 1)
            assert len((await http.get("/v1/calls")).json()["calls"]) == 1

        report = await live
        assert await served.exited() == 0
        assert report.clean
        assert (report.closed_by, served.ended.reason) == ("caller", "stop")
        assert served.texts == words_of(TALK)
        is_in_good_order(served)


async def test_when_the_time_is_up_the_subscriber_gets_the_last_final_and_then_the_end(
    tmp_path: Path, double: SpeechDouble
) -> None:
    """The time is up at once, after Ctrl-C; the caller is let finish the sentence, and the stream is closed."""
    async with serving(tmp_path, await double.start(), speed=QUICK, DRAIN_TIMEOUT_S="0") as served:
        live = asyncio.create_task(place_call(served.plan(TALK.mulaw + b"\xff" * 80_000)))
        await served.speaking()
        served.tell(signal.SIGINT)

        assert await served.exited() == 0
        report = await live
        assert (report.closed_by, report.close_code) == ("server", 1001)
        assert served.texts == words_of(TALK)[:1]
        kinds = [type(event) for event in served.events]
        assert kinds.index(FinalText) < kinds.index(CallEnded) == len(kinds) - 1
        assert served.ended.reason == "drained"
        is_in_good_order(served)


async def test_a_recognizer_that_hangs_does_not_hold_the_process(tmp_path: Path, double: SpeechDouble) -> None:
    """Nothing comes from the stream any more, not even its end; the utterance in hand is asked for otherwise."""
    double.inject(Fault(kind=Kind.STALL, when=Moment.FIRST_AUDIO))
    async with serving(tmp_path, await double.start(), speed=QUICK, DRAIN_TIMEOUT_S="0") as served:
        live = asyncio.create_task(place_call(served.plan(LONG.mulaw)))
        await served.speaking()
        served.tell(signal.SIGTERM)

        assert await served.exited(within=25) == 0
        await live
        assert served.texts == words_of(LONG)
        assert [event.source for event in served.events if isinstance(event, FinalText)] == ["single"]
        is_in_good_order(served)


async def test_a_kill_loses_no_more_than_the_utterances_in_flight(tmp_path: Path, double: SpeechDouble) -> None:
    async with serving(tmp_path, await double.start(), speed=QUICK) as served:
        calls = [asyncio.create_task(place_call(served.plan(TALK.mulaw))) for _ in range(3)]
        await served.until(FinalText, 3)
        await served.until(UtteranceStarted, 5)
        served.tell(signal.SIGKILL)
        await served.exited()
        await asyncio.gather(*calls)

        for sid in {event.call_sid for event in served.events}:
            heard = [event for event in served.events if event.call_sid == sid]
            begun = [event.index for event in heard if isinstance(event, UtteranceStarted)]
            finals = {event.index: event.text.rstrip(".?") for event in heard if isinstance(event, FinalText)}
            assert list(finals.values()) == words_of(TALK)[: len(finals)]
            assert len(begun) - len(finals) <= 1
            assert [event.seq for event in heard] == list(range(1, len(heard) + 1))


@pytest.mark.nightly
@pytest.mark.long
async def test_a_stderr_that_nobody_reads_costs_lines_and_neither_a_call_nor_the_end(
    tmp_path: Path, double: SpeechDouble
) -> None:
    """Our own lines, and what gRPC's core writes on its threads and on the event loop's."""
    traced = "http,http_keepalive,connectivity_state"
    async with serving(
        tmp_path,
        await double.start(),
        speed=QUICK,
        unread=True,
        LOG_LEVEL="DEBUG",
        GRPC_VERBOSITY="DEBUG",
        GRPC_TRACE=traced,
    ) as served:
        live = asyncio.create_task(place_call(served.plan(TALK.mulaw)))
        served.tell(signal.SIGUSR2)
        await served.speaking()
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=served.internal, trust_env=False) as http:
            while (await http.get("/v1/status")).json()["logs"]["lines_lost"] == 0:
                await asyncio.sleep(0.1)
        served.tell(signal.SIGTERM)
        report = await live
        assert await served.exited() == 0
        assert report.clean
        assert (report.closed_by, served.ended.reason) == ("caller", "stop")
        assert served.texts == words_of(TALK)
        assert served.subscription_ended
