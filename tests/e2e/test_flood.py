"""Strangers who open every connection there is, and what that does to calls, to probes and to the log: nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import place_call
from batkol.voices.marked.voice import script
from support.http.raw_client import RawHttp, get, post, speaking
from support.http.raw_websocket import handshake
from support.service.process import Served, serving
from support.service.stack import QUICK, words_of

TALK = script([["שלום", "אני", "רוצה", "כן", "מספר", "טלפון"]], tail_ms=900)
DESCRIPTORS = 256  # half of them for the public listener
HALVES = (b"", b"\r\n", b"POST /tw", get()[:-2], post(b"12345", "/twilio/voice")[:-1], handshake()[:-2])
NO_REQUESTS = (b"rubbish\r\n\r\n", post(b"x" * 1000, "/twilio/voice"), handshake("/twilio/media"))


async def test_a_flood_of_half_requests_harms_no_call_and_no_probe(tmp_path: Path) -> None:
    google = SpeechDouble()
    async with serving(tmp_path, await google.start(), speed=QUICK, descriptors=DESCRIPTORS) as served:
        await served.ready()
        live = asyncio.create_task(place_call(served.plan(TALK.mulaw)))
        await served.speaking()
        async with AsyncExitStack() as held:
            flooding = asyncio.create_task(_flood(held, served.port, 500))
            while not flooding.done():
                await _probed(served)
                await asyncio.sleep(0.05)
            await flooding
            late = await place_call(served.plan(TALK.mulaw))  # and who calls in the middle of it is answered
            await _probed(served)
            open_ones = await _metric(served, "batkol_http_connections", listener="public")
        report = await live

    await google.stop()
    assert report.clean, report
    assert late.clean, late
    assert served.texts == words_of(TALK)
    assert open_ones <= DESCRIPTORS // 2
    assert served.faults == []
    assert len(served.said("[HTTP]")) < 30


async def test_a_flood_of_refused_requests_costs_a_line_a_second(tmp_path: Path) -> None:
    google = SpeechDouble()
    async with serving(tmp_path, await google.start(), subscribe=False) as served:
        for number in range(150):
            async with speaking(served.port) as raw:
                await raw.send(NO_REQUESTS[number % len(NO_REQUESTS)])
                assert (await raw.answer()).status in {400, 403}
        refused = await _metric(served, "batkol_calls_refused_total", reason="signature")
        malformed = await _metric(served, "batkol_http_closed_total", listener="public", reason="malformed")

    await google.stop()
    assert (refused, malformed) == (100, 50)
    assert served.faults == []
    assert len(served.said("[HTTP]")) + len(served.said("[TWILIO]")) < 60


async def _flood(held: AsyncExitStack, port: int, count: int) -> None:
    for number in range(count):
        raw: RawHttp = await held.enter_async_context(speaking(port))
        with suppress(ConnectionError):  # it has made room for another one
            await raw.send(HALVES[number % len(HALVES)])


async def _probed(served: Served) -> None:
    """As the kubelet does it: a new connection for each. How long it takes is the machine's matter."""
    for path in ("/healthz", "/readyz"):
        async with httpx.AsyncClient(base_url=served.internal, trust_env=False, timeout=30) as http:
            answer = await http.get(path)
            assert answer.status_code == 200, answer.text


async def _metric(served: Served, name: str, **labels: str) -> float:
    async with httpx.AsyncClient(base_url=served.internal, trust_env=False) as http:
        page = (await http.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    (found,) = [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]
    return found
