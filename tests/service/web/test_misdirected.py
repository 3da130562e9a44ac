"""Requests to the wrong path or by the wrong method: answered, and logged, with what to change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from structlog.testing import capture_logs

from batkol.calls.registry import CallRegistry
from batkol.events.recorder import NoRecorder
from batkol.web.misdirected import answer_misdirected
from batkol.web.probes import probes
from batkol.web.server import listening
from batkol.web.voice import VoiceSettings, routes
from support.twilio.calls import services

BASE = "https://voice.example.com/prefix"
SIGNED = {"X-Twilio-Signature": "A" * 27 + "="}
NUMBER = "972541234567"


@asynccontextmanager
async def public(base: str = BASE) -> AsyncIterator[httpx.AsyncClient]:
    async with services() as shared:
        app = FastAPI(redirect_slashes=False, openapi_url=None)
        settings = VoiceSettings(
            public_base_url=base,
            auth_tokens=("t",),
            token_keys=("t",),
            token_ttl_s=60,
            agent="",
            language="he-IL",
            overflow_url="",
        )
        app.include_router(probes(lambda: None, lambda: None, lambda: None))
        app.include_router(routes(settings, CallRegistry(limit=5), shared.metrics, NoRecorder()))
        app.router.routes.append(WebSocketRoute("/twilio/media", endpoint=lambda _: None))
        answer_misdirected(app, base)
        async with (
            listening(app, "127.0.0.1", 0) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as http,
        ):
            yield http


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/status", "/twilio/stream-status"])
@pytest.mark.parametrize("end", ["", "/"])
async def test_a_webhook_by_get_is_told_to_be_posted_and_so_is_the_log(path: str, end: str) -> None:
    async with public() as http:
        with capture_logs() as logs:
            answer = await http.get(f"{path}{end}?From=%2B{NUMBER}&CallSid=CA1", headers=SIGNED)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    remedy = f"set the method of the webhook {BASE}{path} to POST"
    assert remedy in answer.json()["detail"]
    assert "the method of this request was GET" in answer.json()["detail"]
    assert [(line["log_level"], line["event"], line["path"], line["method"]) for line in logs] == [
        ("warning", "[TWILIO] webhook refused: its method is not POST", path, "GET")
    ]
    assert remedy in logs[0]["remedy"]
    assert NUMBER not in answer.text + repr(logs)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_every_other_method_is_told_the_same(method: str) -> None:
    async with public() as http:
        with capture_logs() as logs:
            answer = await http.request(method, "/twilio/voice")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert logs[0]["method"] == method


async def test_a_flood_of_them_is_logged_once_a_second() -> None:
    async with public() as http:
        with capture_logs() as logs:
            for _ in range(40):
                assert (await http.get("/twilio/voice")).status_code == 405

    assert len(logs) < 20
    assert logs[0]["lines_left_out"] == 0


@pytest.mark.parametrize("path", ["/", "/voice", "/twilio/voice/voice", "/Twilio/Voice", "//twilio/voice", "/twilio"])
async def test_a_path_that_twilio_asks_for_and_that_is_not_there_is_answered_with_the_right_one(path: str) -> None:
    async with public() as http:
        with capture_logs() as logs:
            answer = await http.post(f"{path}?To={NUMBER}", headers=SIGNED, data={"CallSid": "CA1"})

    assert answer.status_code == 404
    assert f"set the number's webhook to {BASE}/twilio/voice" in answer.json()["detail"]
    assert [line["event"] for line in logs] == ["[TWILIO] request refused: Twilio asked for a path that is not there"]
    assert "path" not in logs[0]
    assert NUMBER not in repr(logs)


async def test_a_prefix_that_the_proxy_did_not_strip_is_said() -> None:
    async with public() as http:
        with capture_logs() as logs:
            answer = await http.post("/prefix/twilio/voice", headers=SIGNED)

    assert (answer.status_code, "configure the proxy to remove /prefix" in answer.json()["detail"]) == (404, True)
    assert "remove /prefix" in logs[0]["remedy"]


async def test_a_path_that_a_stranger_asks_for_is_not_logged() -> None:
    async with public() as http:
        with capture_logs() as logs:
            answers = [await http.get(path) for path in ("/wp-login.php", "/healthz/", "/twilio")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert logs == []


async def test_a_probe_by_another_method_is_no_webhook() -> None:
    async with public() as http:
        with capture_logs() as logs:
            answer = await http.post("/healthz")

    assert (answer.status_code, logs) == (405, [])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stream_that_lost_its_upgrade_at_a_proxy_is_told_what_the_proxy_must_pass(method: str) -> None:
    async with public() as http:
        with capture_logs() as logs:
            answer = await http.request(method, "/twilio/media", headers=SIGNED)

    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "pass the headers `Upgrade` and `Connection` on" in answer.json()["detail"]
    assert logs[0]["event"] == "[TWILIO] media stream refused: it is no WebSocket handshake"


async def test_nothing_is_redirected() -> None:
    """A redirect would name `http://`, and Twilio follows it by GET, without the form."""
    async with public() as http:
        for path in ("/healthz/", "/readyz/", "/twilio/voice/", "/twilio/status/", "/twilio/media/", "/twilio/"):
            for method in ("GET", "POST"):
                answer = await http.request(method, path, headers=SIGNED)
                assert (path, answer.is_redirect) == (path, False)


async def test_without_a_public_url_the_remedy_names_the_setting() -> None:
    async with public("") as http:
        answer = await http.get("/twilio/voice", headers=SIGNED)

    assert "PUBLIC_BASE_URL/twilio/voice" in answer.json()["detail"]


async def test_a_stranger_is_told_the_method_and_no_address() -> None:
    async with public() as http:
        answer = await http.get("/twilio/voice")

    assert answer.status_code == 405
    assert "POST" in answer.json()["detail"]
    assert "https://" not in answer.json()["detail"]


async def test_the_host_header_has_no_part_in_it() -> None:
    async with public() as http:
        with capture_logs() as logs:
            answer = await http.get("/twilio/voice", headers={"Host": f"elsewhere/{NUMBER}?y="})

    assert answer.status_code == 405
    assert NUMBER not in answer.text + repr(logs)
