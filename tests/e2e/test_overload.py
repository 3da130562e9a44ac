"""Too much of anything costs what is too much, and says so; it never costs a call."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from batkol.calls.call import Call
from batkol.calls.limits import HELD
from batkol.events.events import CallEnded, FinalText
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import place_call
from batkol.voices.marked.voice import script
from support.network.relay import relaying
from support.service.process import serving
from support.service.stack import QUICK, Stack, stack, words_of
from support.time.waiting import until
from support.twilio import dialing

TALK = script([["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"]], gap_ms=900, tail_ms=900)
LONG = script([["שלום", "אני", "רוצה", "כן", "מספר", "טלפון", "תודה"], ["שלום", "תודה"]], gap_ms=900, tail_ms=900)
FLOOD = (LONG.mulaw * 30)[: 100 * 8000]
"""As much as a stream may be ahead of the clock (`batkol.calls.pace`), and more than a call holds."""
SLACK = 8000  # samples by which a ring may exceed its capacity before it is trimmed


async def test_a_loop_that_stands_still_for_three_seconds_loses_no_word_and_no_call(tmp_path: Path) -> None:
    """In the middle of a word; the sound of these seconds waits in the socket, and is no hold."""
    async with SpeechDouble() as double, serving(tmp_path, await double.start(), stall_s=3.0) as served:
        live = asyncio.create_task(place_call(served.plan(LONG.mulaw)))
        await served.speaking()
        served.tell(signal.SIGUSR1)
        async with httpx.AsyncClient(base_url=served.internal, trust_env=False) as http:
            await served.until(FinalText)
            (shown,) = (await http.get("/v1/calls")).json()["calls"]
            report = await live
            await served.until(CallEnded)

            assert report.clean
            assert shown["audio_ms"] < 1000 * shown["duration_s"] + 500  # no silence was put where sound was to come
            assert served.texts == words_of(LONG)
            assert (served.ended.reason, served.ended.gap_ms) == ("stop", 0)
            assert (await http.get("/v1/status")).json()["event_loop"]["lag_ms_max_60s"] > 2000
            metrics = (await http.get("/metrics")).text
            lags = re.search(r"batkol_audio_loop_lag_seconds_sum ([\d.]+)", metrics)
            assert lags is not None
            assert float(lags[1]) > 2
        served.tell(signal.SIGTERM)
        await served.exited()
        assert max(line["lag_ms"] for line in served.said("[LOOP]")) > 2000
        assert served.faults == []


async def dialled(up: Stack, ws: ClientConnection, call_sid: str) -> Call:
    parameters = await dialing.ask_for_twiml(up, call_sid)
    await ws.send(dialing.connected())
    await ws.send(dialing.start(call_sid, parameters))
    await up.heard.until(lambda: up.service.calls.get(call_sid))
    call = up.service.calls.get(call_sid)
    assert call is not None
    return call


def held(call: Call) -> int:
    return len(call.audio.ring._bytes)


async def flooded(ws: ClientConnection, call: Call, audio: bytes, frame_ms: int, *, after: int = 0) -> int:
    """Send it all at once, after so many frames of 20 ms; return the most that the call held meanwhile."""
    piece, most = frame_ms * 8, 0
    for number, at in enumerate(range(0, len(audio), piece)):
        message = dialing.media(number + 1 + after, audio[at : at + piece])
        told, true = (number + after) * 20, number * frame_ms + after * 20
        await ws.send(message.replace(f'"timestamp": "{told}"', f'"timestamp": "{true}"'))
        if number % 50 == 0:
            await asyncio.sleep(0)
            most = max(most, held(call))
    await until(lambda: call.audio.ms >= len(audio) // 8 + after * 20)
    return max(most, held(call))


@pytest.mark.parametrize(
    "frame_ms",
    [pytest.param(20, id="as Twilio's"), pytest.param(100_000, id="of a megabyte", marks=pytest.mark.nightly)],
)
async def test_a_flood_is_bounded_and_the_other_calls_do_not_notice(
    tmp_path: Path, frame_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a minute of speech at once, to recognizers that take nothing: the ring is all that a call can hold."""
    monkeypatch.setattr("batkol.app.build.ENDING_S", 0.5)
    async with stack(tmp_path, speed=QUICK) as up, dialing.socket(up) as ws:
        for surface in Surface:
            up.double.inject(
                Fault(kind=Kind.STALL, surface=surface, when=Moment.OPEN, streams=tuple(range(1, 40)), running=True)
            )
        call = await dialled(up, ws, "CA1")
        assert await flooded(ws, call, FLOOD, frame_ms) <= HELD + SLACK
        assert (call.ended_by, call.audio.gap_ms) == ("", 0)
        up.double.clear()
        other = await up.call(TALK.mulaw)
        assert other.clean
        assert up.heard.texts(other.call_sid) == words_of(TALK)
        assert call.ended_by == ""


async def test_what_a_dead_network_does_not_take_is_dropped_oldest_first_and_counted(tmp_path: Path) -> None:
    """Two minutes of sound are offered, a few seconds fit into the connection; then the network is there again.

    The sound comes in two messages: the network is dead for no longer than the machine takes for these, and the stream
    is not given up meanwhile. The double ends the stream once it has audio again, as the end of a stream counts.
    """
    google = SpeechDouble(DoubleSettings(pacing_factor=0))
    async with (
        google as double,
        relaying(await double.start()) as relay,
        stack(tmp_path, double_port=relay.port, stt_replay_rate=1000) as up,
        dialing.socket(up) as ws,
    ):
        double.inject(Fault(kind=Kind.END, code="INTERNAL", when=Moment.AUDIO, seconds=20, streams=(1,)))
        call = await dialled(up, ws, "CA1")
        await ws.send(dialing.media(1))
        await until(lambda: double.stats()["streams_opened"])
        relay.swallow()
        assert await flooded(ws, call, FLOOD[: 15 * 8000] + FLOOD, 60_000, after=1) <= HELD + SLACK
        relay.release()
        await until(lambda: call.reporter.figures.audio_dropped_ms or call.ended_by)
        await ws.send(dialing.stop("CA1"))
        await up.heard.until(lambda: up.heard.of("CA1", CallEnded))

        ended = up.ended("CA1")
        assert ended.reason == "stop"
        assert ended.audio_dropped_ms > 30_000
