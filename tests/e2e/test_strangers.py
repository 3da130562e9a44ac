"""What the two listeners of a whole service answer to those who should hear nothing."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from batkol import __version__
from support.http.raw_client import get, head, speaking
from support.http.raw_websocket import handshake
from support.service.stack import PUBLIC, Stack, stack

API_TOKEN = "a-made-up-token"
BEARER = {"Authorization": f"Bearer {API_TOKEN}"}
PATHS = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/v1/status",
    "/v1/calls",
    "/v1/calls/CA0/events",
    "/v1/events",
    "/v1/history/calls",
    "/v1/leads",
    "/v1/",
    "/",
    "/nothing-is-here",
)
OPEN_WITH_A_TOKEN = frozenset({"/healthz", "/readyz", "/metrics"})


def client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)


async def test_without_a_token_a_web_page_reads_nothing_and_drains_nothing(tmp_path: Path) -> None:
    async with stack(tmp_path) as up, client(up.internal) as http:
        for headers in (
            {"Host": "rebound.example:8081"},
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            answers = [await http.get(path, headers=headers) for path in PATHS]
            answers += [await http.post("/v1/drain", headers=headers), await http.patch("/v1/leads/1", headers=headers)]

            assert {answer.status_code for answer in answers} == {403}, headers
            assert len({answer.content for answer in answers}) == 1, "and not whether there is such a path"
        assert not up.service.calls.draining
        assert (await http.post("/v1/drain")).status_code == 200, "who asks by address, may"


async def test_a_configured_host_is_answered(tmp_path: Path) -> None:
    async with stack(tmp_path, internal_hosts=("batkol.internal",)) as up, client(up.internal) as http:
        assert (await http.get("/v1/status", headers={"Host": "Batkol.internal:9000"})).status_code == 200
        assert (await http.get("/v1/status", headers={"Host": "other.internal"})).status_code == 403


async def test_with_a_token_any_host_is_answered_and_another_sites_page_is_not(tmp_path: Path) -> None:
    async with stack(tmp_path, api_token=API_TOKEN) as up, client(up.internal) as http:
        named = {"Host": "batkol.voice.svc:8081"}
        for path in OPEN_WITH_A_TOKEN:
            assert (await http.get(path, headers=named)).status_code == 200
        assert (await http.get("/v1/status", headers=named | BEARER)).status_code == 200
        for path in (*OPEN_WITH_A_TOKEN, "/console/", "/openapi.json", "/v1/status"):
            rebound = await http.get(path, headers=named | {"Accept-Language": "he"})
            assert (path, rebound.status_code) == (path, 403), "a page that has this name resolve here"
        refused = await http.post("/v1/drain", headers=named | BEARER | {"Origin": "https://evil.example"})
        assert refused.status_code == 403
        assert not up.service.calls.draining


async def test_the_reference_of_the_api_needs_no_token_and_shows_nothing_of_this_service(tmp_path: Path) -> None:
    async with stack(tmp_path, api_token=API_TOKEN, voice_agent="kept-to-itself") as up, client(up.internal) as http:
        shown = [await http.get(path) for path in ("/docs", "/redoc", "/openapi.json", "/asyncapi.json")]
        closed = await http.get("/v1/status")

    assert ([answer.status_code for answer in shown], closed.status_code) == ([200] * 4, 401)
    texts = "".join(answer.text for answer in shown)
    assert [secret for secret in (API_TOKEN, "kept-to-itself", PUBLIC, str(up.service.port)) if secret in texts] == []
    assert {"/v1/status", "/v1/leads", "/metrics", "/readyz"} <= shown[2].json()["paths"].keys()


async def test_in_development_a_browser_shows_the_reference(tmp_path: Path) -> None:
    async with stack(tmp_path) as up, client(up.internal) as http:
        page = await http.get("/docs", headers={"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"})
        start = await http.get("/docs/start.js", headers={"Sec-Fetch-Site": "same-origin"})
        there = re.search(r'url: "([^"]+)"', start.text)
        assert there
        described = await http.get(
            str(httpx.URL(f"{up.internal}/docs").join(there[1])), headers={"Sec-Fetch-Site": "same-origin"}
        )

    assert (page.status_code, described.status_code) == (200, 200)
    assert described.json()["info"]["version"] == __version__


async def test_the_public_probes_say_yes_or_no_and_the_internal_ones_why(tmp_path: Path) -> None:
    async with stack(tmp_path) as up, client(up.url) as public, client(up.internal) as internal:
        up.service.recognizers.streaming[0].breaker.fail(0.0, "unauthenticated", grave=True)
        assert (await public.get("/readyz")).json() == {"status": "ready"}
        assert "unauthenticated" in (await internal.get("/readyz")).json()["degraded"]
        await up.service.drain_calls()
        told = [await http.get(path) for http in (public, internal) for path in ("/readyz", "/healthz")]

    assert [(answer.status_code, answer.json()) for answer in told] == [
        (503, {"status": "not ready"}),
        (200, {"status": "alive"}),
        (503, {"status": "draining"}),
        (200, {"status": "alive"}),
    ]


async def everything_public(up: Stack) -> list[bytes]:
    """Whole answers, headers included, to what strangers try."""
    asked = [get(path) for path in (*PATHS, "/twilio/voice", "/twilio/media", "/v1/drain", "/%00", "//x/..")]
    asked += [head(path) for path in ("/twilio/voice", "/twilio/status", "/readyz")]
    asked += [head("/twilio/voice", "X-Twilio-Signature: AAAAAAAAAAAAAAAAAAAAAAAAAAA="), b"GET nonsense\r\n\r\n"]
    asked += [handshake(path) for path in ("/twilio/media", "/nothing")]
    asked.append(handshake("/twilio/media").replace(b"Version: 13", b"Version: 7"))
    answers = []
    for request in asked:
        async with speaking(up.service.port) as client:
            await client.send(request)
            client.finish()
            answers.append(await client.rest())
    return answers


async def test_the_public_port_tells_strangers_neither_programs_nor_versions_nor_settings(tmp_path: Path) -> None:
    async with stack(tmp_path) as up:
        answers = await everything_public(up)

    assert all(answer.startswith(b"HTTP/1.1 ") for answer in answers)
    told = b"\n".join(answers).decode().lower()
    names = ["server:", "uvicorn", "fastapi", "starlette", "python", "websockets/", "traceback", "openapi", "swagger"]
    assert [name for name in (*names, f"{__version__}", PUBLIC, "draining", "x-powered-by") if name in told] == []
