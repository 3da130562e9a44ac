"""Every client of the service against every kind of hostile server: an error of ours, and little is taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from batkol.answers import Answer, AnswerError, exchange, no_cookies
from batkol.client import Batkol, ClientLimits
from batkol.errors import BatkolError
from batkol.gonogo.cluster_object import ClusterObject
from batkol.gonogo.flagstore import FlagStoreError
from batkol.live.cluster import LARGEST, ObjectName, connected
from batkol.recognizers.whisper.http import WhisperServer
from batkol.simulators.twilio.caller import CallOutcome, CallPlan, place_call
from support.http.hostile_server import BODIES, WAYS, answering_with, hostile_http
from support.http.one_answer import answering, http
from support.kube.kubeconfig import reaching

PATIENCE_S = 0.25

Ask = Callable[[str, Path, float], Awaitable[object]]


async def ask_status(url: str, folder: Path, within_s: float) -> None:
    async with Batkol(url, limits=ClientLimits(answer_s=within_s)) as batkol:
        await batkol.status()


async def ask_object(url: str, folder: Path, within_s: float) -> None:
    with reaching(url, folder):
        found = ClusterObject("ConfigMap", ObjectName("a", "b"), api="api/v1", plural="configmaps", answer_s=within_s)
        await found.read()


async def ask_whisper(url: str, folder: Path, within_s: float) -> None:
    client = WhisperServer(url=url, model="m", language="he", api_key="", timeout=within_s)
    try:
        await client.recognize(bytes(160))
    finally:
        await client.close()


async def follow_events(url: str, folder: Path, within_s: float) -> None:
    async with Batkol(url, give_up_s=0, limits=ClientLimits(answer_s=within_s)) as batkol:
        async for _ in batkol.events():
            raise AssertionError("there is no event")


async def say_words(url: str, folder: Path, within_s: float) -> None:
    async with Batkol(url, give_up_s=0, limits=ClientLimits(answer_s=within_s)) as batkol:
        await batkol.call("CA1").say("שלום")


TELLING = {"no answer", "flood", "bomb", "redirects", "no http"}
"""Ways of which each client has a test in `make test`; one client has all, for the answers are read in one place."""

CLIENTS: dict[str, Ask] = {
    "status": ask_status,
    "command": say_words,
    "cluster object": ask_object,
    "whisper": ask_whisper,
}


@pytest.mark.parametrize(
    ("client", "way"),
    [
        pytest.param(client, way, marks=() if client == "status" or way in TELLING else (pytest.mark.nightly,))
        for client in CLIENTS
        for way in WAYS
    ],
)
async def test_a_hostile_server_costs_a_client_one_error_and_little_else(client: str, way: str, tmp_path: Path) -> None:
    slow = way in {"no answer", "drip", "dripping head", "preliminary answers"}
    async with hostile_http(way) as server:
        with pytest.raises(BatkolError):
            async with asyncio.timeout(30):
                await CLIENTS[client](server.url, tmp_path, PATIENCE_S if slow else 20.0)
        await server.check()


@pytest.mark.parametrize(
    ("client", "body"),
    [
        pytest.param(client, body, marks=() if client == "status" or body in BODIES[::3] else (pytest.mark.nightly,))
        for client in CLIENTS
        for body in BODIES
    ],
    ids=lambda part: part if isinstance(part, str) else repr(part[:20]),
)
async def test_a_body_that_is_not_what_was_asked_for_is_an_error_of_ours(
    client: str, body: bytes, tmp_path: Path
) -> None:
    async with answering_with(body) as url:
        with pytest.raises(BatkolError):
            await CLIENTS[client](url, tmp_path, 20.0)


@pytest.mark.parametrize(
    "way",
    [
        "no answer", "dripping head", "preliminary answers", "flood", "flood of an error", "endless head", "bomb",
        "redirects", "cut off", "no http",
    ],
)  # fmt: skip
async def test_an_event_stream_of_a_hostile_server_is_one_error(way: str, tmp_path: Path) -> None:
    slow = way in {"no answer", "dripping head", "preliminary answers"}
    async with hostile_http(way, "text/event-stream") as server:
        with pytest.raises(BatkolError):
            async with asyncio.timeout(30):
                await follow_events(server.url, tmp_path, PATIENCE_S if slow else 20.0)
        await server.check()


@pytest.mark.parametrize("way", WAYS)
async def test_a_simulated_call_survives_a_hostile_webhook(way: str) -> None:
    slow = way in {"no answer", "drip", "dripping head", "preliminary answers"}
    async with hostile_http(way, "text/xml") as server:
        async with asyncio.timeout(30):
            report = await place_call(CallPlan(base_url=server.url, open_timeout=PATIENCE_S if slow else 20.0))
        await server.check()

    assert report.outcome is CallOutcome.WEBHOOK_FAILED
    assert [violation.code for violation in report.violations]


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in TELLING else (pytest.mark.nightly,)) for way in WAYS]
)
async def test_a_simulated_call_survives_a_hostile_media_stream(way: str) -> None:
    slow = way in {"no answer", "drip", "dripping head", "preliminary answers"}
    async with hostile_http(way) as server:
        stream = server.url.replace("http", "ws")
        twiml = f'<Response><Connect><Stream url="{stream}/media"/></Connect></Response>'.encode()
        async with answering(http("200 OK", twiml, "Content-Type: text/xml")) as (url, _), asyncio.timeout(30):
            report = await place_call(CallPlan(base_url=url, open_timeout=0.5 if slow else 20.0))

        assert server.taken < 24 << 20
    assert report.outcome is CallOutcome.HANDSHAKE_FAILED
    assert len(report.violations) == 1


@pytest.mark.parametrize(
    "twiml",
    [
        b'<?xml version="1.0" encoding="none-such"?><Response/>',
        b'<?xml version="1.0" encoding="utf-7"?><Response/>',
        b"\xff\xfe\xff",
        b"<Response><Redirect>http://[</Redirect></Response>",
        b'<Response><Connect><Stream url="/a" statusCallback="http://["/></Connect></Response>',
        b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">'
        + b"".join(b'<!ENTITY b%d "%s">' % (n, b"&b%d;" % (n - 1) * 10 if n else b"&b;" * 10) for n in range(9))
        + b"]><Response><Say>&b8;</Say></Response>",
        b"<a>" * 9000,
    ],
    ids=lambda twiml: repr(twiml[:50]),
)
async def test_twiml_that_cannot_be_read_is_what_twilio_calls_it(twiml: bytes) -> None:
    async with answering(http("200 OK", twiml, "Content-Type: text/xml")) as (url, _):
        report = await place_call(CallPlan(base_url=url))

    assert report.outcome is CallOutcome.WEBHOOK_FAILED
    assert [violation.code for violation in report.violations] == [12100]


@pytest.mark.parametrize("length", ["9" * 5000, "1e9", "14401", "-1", "NaN"])
async def test_a_pause_that_no_call_could_last_is_refused(length: str) -> None:
    twiml = f'<Response><Pause length="{length}"/></Response>'.encode()
    async with answering(http("200 OK", twiml, "Content-Type: text/xml")) as (url, _), asyncio.timeout(30):
        report = await place_call(CallPlan(base_url=url))

    assert 12200 in [violation.code for violation in report.violations]


@pytest.mark.parametrize(
    "part",
    [
        {"data": []}, {"data": {"flags.json": 1}}, {"binaryData": {"flags.json": "no base64"}}, {"spec": 1},
        {"spec": {"streaming": []}}, {"spec": {"streaming": {"callers": [1]}}}, {"spec": {"flags": 1}}, {"status": []},
        {"status": {"observedGeneration": "1"}}, {"metadata": {"resourceVersion": "1", "ownerReferences": [1]}},
    ],
    ids=str,
)  # fmt: skip
async def test_an_object_of_another_shape_is_an_error_of_ours(part: dict[str, object], tmp_path: Path) -> None:
    body = json.dumps({"metadata": {"resourceVersion": "1"}} | part).encode()
    async with answering_with(body) as url:
        with pytest.raises(FlagStoreError, match=r"cannot be used.*KUBECONFIG"):
            await ask_object(url, tmp_path, 20.0)


@pytest.mark.parametrize("way", ["flood", "flood of an error", "flood of an unknown token"])
async def test_a_live_source_does_not_collect_what_an_api_server_sends_without_end(way: str, tmp_path: Path) -> None:
    """Nor does the library, which reads a 401 to its end before it asks again with the token that the file has now."""
    (tmp_path / "token").write_text("t")
    async with hostile_http(way) as server:
        with reaching(server.url, tmp_path, tokenFile=str(tmp_path / "token")):
            async with connected() as client:
                with pytest.raises(httpx2.ReadError, match="longer than"):
                    await client.get("/")
        await server.check()


async def test_a_watch_may_go_on_and_a_line_of_it_may_not(tmp_path: Path) -> None:
    async def watch(url: str) -> int:
        taken = 0
        with reaching(url, tmp_path):
            async with connected() as client, client.stream("GET", "/", params={"watch": "true"}) as response:
                async for piece in response.aiter_bytes():
                    taken += len(piece)
        return taken

    lines = b"x" * 1023 + b"\n"
    async with answering(http("200 OK", lines * (LARGEST // 512))) as (url, _):
        assert await watch(url) == 2 * LARGEST
    async with hostile_http("flood") as server:
        with pytest.raises(httpx2.ReadError, match="a line of the watch is longer than"):
            await watch(server.url)
        await server.check()


async def test_a_live_source_does_not_inflate_what_an_api_server_sends(tmp_path: Path) -> None:
    """httpx2 would, a list and each line of a watch, whatever their size."""
    async with hostile_http("bomb") as server:
        with reaching(server.url, tmp_path):
            async with connected() as client:
                with pytest.raises(httpx2.DecodingError, match="compressed"):
                    await client.get("/")
        await server.check()


@pytest.mark.parametrize("library", [httpx.AsyncClient, httpx2.AsyncClient])
async def test_an_answer_may_be_as_long_as_its_limit_and_no_longer(library: Callable[[], Any]) -> None:
    async with answering(http("200 OK", b"x" * 1000, "A: b")) as (url, _), library() as client:
        whole = await exchange(client, "GET", url, within_s=20, largest=1000)
        with pytest.raises(AnswerError, match="longer than 999 bytes") as raised:
            await exchange(client, "GET", url, within_s=20, largest=999)

    assert isinstance(whole, Answer)
    assert (whole.status, whole.headers["a"], whole.body) == (200, "b", b"x" * 1000)
    assert raised.value.status == 200


async def test_a_servers_cookies_are_not_kept() -> None:
    async with (
        answering(http("200 OK", b"", "Set-Cookie: a=b")) as (url, asked),
        httpx.AsyncClient(cookies=no_cookies()) as client,
    ):
        for _ in range(2):
            await exchange(client, "GET", url, within_s=20, largest=1)

    assert len(asked) == 2
    assert not any(b"cookie" in request.lower() for request in asked)
