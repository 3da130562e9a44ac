"""What cannot be Twilio is refused, what is only broken is survived, and the service goes on serving."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from batkol.events.events import CallEnded, MarkPlayed
from batkol.voices.marked.voice import script
from support.service.stack import QUICK, Stack, stack, words_of
from support.twilio import dialing

TALK = script([["שלום", "תודה"]], lead_ms=300, tail_ms=800)


async def shout(ws: ClientConnection) -> None:
    for _ in range(200):
        await ws.send("this is not JSON")
    await asyncio.wait_for(ws.recv(), 30)


async def still_serves(up: Stack) -> None:
    report = await up.call(TALK.mulaw)
    assert up.heard.texts(report.call_sid) == words_of(TALK)
    assert report.clean


async def test_a_handshake_without_a_signature_gets_403(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        with pytest.raises(InvalidStatus) as refused:
            async with dialing.socket(up, sign=False):
                pass

        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "fault", ["other call", *(pytest.param(fault, marks=pytest.mark.nightly) for fault in ("none", "forged"))]
)
async def test_a_start_without_the_token_of_its_call_is_closed_with_1008(tmp_path: Path, fault: str) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        parameters = await dialing.ask_for_twiml(up, "CA-one")
        match fault:
            case "none":
                parameters.pop("token")
            case "forged":
                parameters["token"] = "A" * len(parameters["token"])
        async with dialing.socket(up) as ws:
            await ws.send(dialing.connected())
            await ws.send(dialing.start("CA-two" if fault == "other call" else "CA-one", parameters))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(ws.recv(), 30)

        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert len(up.service.calls) == 0
        async with httpx.AsyncClient(trust_env=False) as http:
            page = (await http.get(f"{up.internal}/metrics")).text
        refused = re.findall(r'^batkol_calls_refused_total{.*reason="(\w+)".*} 1(?:\.0)?$', page, re.MULTILINE)
        assert refused == ["token"]


async def test_a_socket_that_never_starts_a_stream_is_closed_on_its_hundred_and_first_piece_of_noise(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        async with dialing.socket(up) as ws:
            with pytest.raises(ConnectionClosed) as closed:
                await shout(ws)

        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        await still_serves(up)


async def test_rubbish_in_the_middle_of_a_call_costs_the_rubbish_and_nothing_else(tmp_path: Path) -> None:
    """Random bytes, wrong types, wrong order, a repeated start, ten thousand marks, huge messages, other streams."""
    noise = random.Random(7)
    rubbish: list[str | bytes] = [
        "",
        "null",
        "[]",
        "{",
        '{"event":"media"}',
        '{"event":"media","streamSid":"MZ1","sequenceNumber":"x","media":{}}',
        '{"event":"lift-off","streamSid":"MZ1"}',
        dialing.media(1).replace('"chunk": "1"', '"chunk": "-1"'),
        dialing.media(1, b"///").replace("Ly8v", "not base64!"),
        '{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"3","dtmf":{"digit":7}}',
        dialing.media(1, stream_sid="MZother"),
        dialing.connected(),
        "x" * 3_000_000,
        *(noise.randbytes(noise.randrange(1, 400)) for _ in range(40)),
        *(noise.randbytes(60).decode("latin-1") for _ in range(40)),
    ]
    audio = TALK.mulaw

    async with stack(tmp_path, speed=QUICK) as up:
        parameters = await dialing.ask_for_twiml(up, "CA1")
        async with dialing.socket(up) as ws:
            await ws.send(dialing.connected())
            await ws.send(dialing.start("CA1", parameters))
            for number in range(len(audio) // 160):
                if rubbish and number % 2 == 0:
                    await ws.send(rubbish.pop())
                if number == 10:
                    await ws.send(dialing.start("CA1", parameters))  # the same again: counted
                await ws.send(dialing.media(number + 1, audio[number * 160 : number * 160 + 160]))
                await asyncio.sleep(0.018)
            for number in range(10_000):
                await ws.send(dialing.mark(number + 1000, f"m{number}"))
            await ws.send(dialing.stop("CA1"))
            await up.heard.until(lambda: up.heard.of("CA1", CallEnded))

        assert up.heard.texts("CA1") == words_of(TALK)
        assert up.heard.of("CA1", MarkPlayed) == [], "none of them was sent to it"
        assert up.ended("CA1").reason == "stop"
        await still_serves(up)


async def test_a_second_stream_on_one_socket_is_closed_with_1008(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        parameters = await dialing.ask_for_twiml(up, "CA1")
        async with dialing.socket(up) as ws:
            await ws.send(dialing.start("CA1", parameters))
            await ws.send(dialing.media(1))
            await ws.send(dialing.start("CA1", parameters, stream_sid="MZ2"))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(ws.recv(), 30)

        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        await up.heard.until(lambda: up.heard.of("CA1", CallEnded))
        assert up.ended("CA1").reason == "refused"


async def test_of_two_streams_of_one_call_the_newer_one_is_heard_and_the_older_one_is_closed(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        parameters = await dialing.ask_for_twiml(up, "CA1")
        async with dialing.socket(up) as first, dialing.socket(up) as second:
            await first.send(dialing.start("CA1", parameters))
            await up.heard.until(lambda: up.service.calls.get("CA1"))
            await second.send(dialing.start("CA1", parameters, stream_sid="MZ2"))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(first.recv(), 30)

            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1000
            call = up.service.calls.get("CA1")
            assert call is not None
            assert (call.identity.stream_sid, call.ended_by) == ("MZ2", "")


async def test_a_stream_of_another_format_is_closed_with_1003(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        parameters = await dialing.ask_for_twiml(up, "CA1")
        wide = {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}
        async with dialing.socket(up) as ws:
            await ws.send(dialing.start("CA1", parameters, mediaFormat=wide))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(ws.recv(), 30)

        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003
