"""A pod that is told to go takes no new call and ends none that it has; whom it cannot keep, another pod gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from batkol.calls import drain
from batkol.events.events import CallEnded, CallStarted, FinalText, UtteranceStarted
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.twilio.caller import CallPlan, place_call
from batkol.twilio.signature import signature
from batkol.voices.marked.voice import script
from support.http.raw_websocket import connected, handshake, text
from support.network.balancer import balancing
from support.service.stack import PUBLIC, QUICK, TOKEN, Stack, stack, words_of
from support.twilio import dialing

TALK = script([["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"]], gap_ms=900, tail_ms=900)
PAUSED = script([["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"]], gap_ms=1500, tail_ms=900)
"""With a pause that is long enough to move in, on a busy machine too."""
SHORT = script([["שלום", "תודה"]], lead_ms=300, tail_ms=800)


async def speaking(up: Stack) -> None:
    await up.heard.until(lambda: any(isinstance(e, UtteranceStarted) for es in up.heard.events.values() for e in es))


def through(url: str, audio: bytes, speed: float = QUICK) -> CallPlan:
    return CallPlan(base_url=url, public_url=PUBLIC, auth_token=TOKEN, audio=audio, speed=speed)


async def test_a_drain_lets_the_live_call_finish_and_the_next_one_reaches_another_pod(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "old", speed=QUICK, drain_timeout_s=30) as old,
        stack(tmp_path / "new", speed=QUICK) as new,
        balancing(old.service.port) as balancer,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        live = asyncio.create_task(old.call(TALK.mulaw))
        await speaking(old)
        leaving = asyncio.create_task(old.service.drain_calls())
        await asyncio.sleep(0)
        balancer.then = [new.service.port]  # it has not heard of the drain yet: the next request still goes there

        moved = await place_call(through(balancer.url, SHORT.mulaw))
        ready = await http.get(f"{old.url}/readyz")
        status = (await http.get(f"{old.internal}/v1/status")).json()

        assert moved.clean
        assert (moved.streams, moved.said) == (1, [])
        await new.heard.until(lambda: new.heard.of(moved.call_sid, CallEnded))
        assert new.heard.texts(moved.call_sid) == words_of(SHORT)
        assert ready.status_code == 503
        assert (status["draining"], status["drain"]["timeout_s"]) == (True, 30)
        report = await live
        await leaving
        assert report.clean
        assert old.heard.texts(report.call_sid) == words_of(TALK)
        assert old.ended(report.call_sid).reason == "stop"


async def test_a_stream_that_reaches_a_draining_pod_is_sent_on_to_another(tmp_path: Path) -> None:
    """The webhook was another pod's answer; the stream is a request of its own, and the balancer chose anew."""
    async with (
        stack(tmp_path / "old", speed=QUICK) as old,
        stack(tmp_path / "new", speed=QUICK) as new,
        balancing(new.service.port) as balancer,
    ):
        await old.service.drain_calls()
        balancer.then = [old.service.port, new.service.port]

        report = await place_call(through(balancer.url, SHORT.mulaw))

        assert report.clean
        assert report.streams == 2
        assert old.heard.events == {}
        await new.heard.until(lambda: new.heard.of(report.call_sid, CallEnded))
        assert new.heard.texts(report.call_sid) == words_of(SHORT)


async def test_when_the_time_is_up_the_call_goes_on_at_another_pod(tmp_path: Path) -> None:
    """In a pause, with its last utterance delivered: the caller notices nothing, and no word is lost."""
    async with (
        stack(tmp_path / "old", speed=QUICK, drain_timeout_s=0) as old,
        stack(tmp_path / "new", speed=QUICK) as new,
        balancing(old.service.port) as balancer,
    ):
        live = asyncio.create_task(place_call(through(balancer.url, PAUSED.mulaw, speed=1)))
        await speaking(old)
        balancer.pod = new.service.port

        await old.service.drain_calls()

        report = await live
        sid = report.call_sid
        assert report.clean
        assert (report.streams, report.closed_by, report.said) == (2, "caller", [])
        await new.heard.until(lambda: new.heard.of(sid, CallEnded))
        assert (old.heard.texts(sid), new.heard.texts(sid)) == (words_of(PAUSED)[:1], words_of(PAUSED)[1:])
        ended = old.ended(sid)
        assert (ended.reason, ended.close_code) == ("drained", 1001)
        (first,), (second,) = old.heard.of(sid, CallStarted), new.heard.of(sid, CallStarted)
        assert (first.stream, second.stream) == (1, 2)
        assert (first.from_, first.to, first.parameters) == (second.from_, second.to, second.parameters)
        kinds = [type(event) for event in old.heard.events[sid]]
        assert kinds.index(FinalText) < kinds.index(CallEnded) == len(kinds) - 1


async def test_another_pod_hears_the_caller_while_this_one_waits_for_the_last_final(tmp_path: Path) -> None:
    """The stream is closed first: else the caller talks to nobody for as long as Google takes."""
    async with (
        stack(tmp_path / "old", speed=QUICK, drain_timeout_s=0, stt_final_timeout_ms=5000) as old,
        stack(tmp_path / "new", speed=QUICK) as new,
        balancing(old.service.port) as balancer,
    ):
        old.double.inject(Fault(kind=Kind.SLOW_FINALS, latency_s=3.0))
        live = asyncio.create_task(place_call(through(balancer.url, PAUSED.mulaw, speed=1)))
        await speaking(old)
        balancer.pod = new.service.port

        await old.service.drain_calls()

        sid = (await live).call_sid
        await new.heard.until(lambda: new.heard.of(sid, CallEnded))
        (final,) = old.heard.of(sid, FinalText)
        assert new.heard.of(sid, CallStarted)[0].at < final.at
        assert (old.heard.texts(sid), new.heard.texts(sid)) == (words_of(PAUSED)[:1], words_of(PAUSED)[1:])


async def test_recognizers_that_hang_are_given_up_and_the_call_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "ENDING_S", 1.0)
    async with stack(tmp_path, speed=QUICK, drain_timeout_s=0) as up:
        up.double.inject(Fault(kind=Kind.STALL, when=Moment.FIRST_AUDIO), Fault(kind=Kind.STALL, surface=Surface.UNARY))
        live = asyncio.create_task(place_call(up.plan(SHORT.mulaw + b"\xff" * 80_000, voice_path="/twilio/voice")))
        await speaking(up)
        with capture_logs() as logs:
            await asyncio.wait_for(up.service.drain_calls(), 20)

        (line,) = [line for line in logs if line["event"].startswith("[CALL] call cut off")]
        assert (line["log_level"], line["ended_by"]) == ("error", "drained")
        assert line["call_sid"] in up.heard.events
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)


def does_not_read(up: Stack) -> None:
    """Ten megabytes are on their way, again and again: the socket fills, and no close frame finds room."""
    (call,) = up.service.calls
    for _ in range(10_000):
        call.playout.mark("m" * 1000)  # sound goes out no faster than it is heard


def only_listens(_: Stack) -> None:
    """It reads nothing of what comes, so it does not answer our close frame either."""


@pytest.mark.parametrize("behaves", [pytest.param(only_listens, marks=pytest.mark.nightly), does_not_read])
async def test_a_peer_that_does_not_answer_the_close_does_not_hold_the_drain(
    tmp_path: Path, behaves: Callable[[Stack], None]
) -> None:
    async with stack(tmp_path, speed=QUICK, drain_timeout_s=0) as up:
        parameters = await dialing.ask_for_twiml(up, "CA1")
        async with connected(up.service.port, shake=False) as raw:
            await raw.send(handshake("/twilio/media", f"X-Twilio-Signature: {signature(TOKEN, dialing.WSS, ())}"))
            await raw.upgraded()
            await raw.send(text(dialing.connected()), text(dialing.start("CA1", parameters)), text(dialing.media(1)))
            await up.heard.until(lambda: up.service.calls.get("CA1"))
            for _ in range(5):
                behaves(up)
                await asyncio.sleep(0.1)

            await asyncio.wait_for(up.service.drain_calls(), 15)

            assert len(up.service.calls) == 0
            assert up.ended("CA1").reason == "drained"
