"""Google refuses us: no call ends for it, status and readiness say it, nobody loops, and it mends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from batkol.simulators.google.faults import Fault, Kind, Surface
from batkol.simulators.google.server import SpeechDouble
from batkol.voices.marked.voice import script
from batkol.web.server import listening
from support.service.stack import QUICK, Stack, stack, words_of
from support.time.waiting import until

TALK = script([["שלום", "אני"], ["כן", "מספר"]], gap_ms=900, tail_ms=900)
UNKNOWN_TO_GOOGLE = [Fault(kind=Kind.END, surface=surface, code="UNAUTHENTICATED") for surface in Surface]


@asynccontextmanager
async def whisper(text: str) -> AsyncIterator[str]:
    """A Whisper server that always hears the same; yields its URL."""
    app = FastAPI()

    @app.post("/v1/audio/transcriptions")
    async def transcribe() -> dict[str, str]:
        return {"text": text}

    async with listening(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


async def ready(up: Stack) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{up.internal}/readyz")
    return answer.status_code, answer.json()


async def health(up: Stack) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as http:
        status = (await http.get(f"{up.internal}/v1/status")).json()
    health = status["recognizer"]["health"]
    assert isinstance(health, dict)
    return health


async def test_calls_go_on_by_whisper_and_come_back_when_google_knows_us_again(tmp_path: Path) -> None:
    async with whisper("שלום") as url, stack(tmp_path, speed=QUICK, whisper_url=url) as up:
        up.service.health.ask_every = 0.2
        up.double.inject(*UNKNOWN_TO_GOOGLE)

        report = await up.call(TALK.mulaw)

        assert report.clean
        assert up.heard.texts(report.call_sid) == ["שלום"] * 2
        assert {final.source for final in up.heard.finals(report.call_sid)} == {"whisper"}
        code, body = await ready(up)
        assert (code, body["status"]) == (200, "ready")
        assert "streaming: unauthenticated" in body["degraded"]
        states = await health(up)
        assert [(states[step]["state"], states[step]["reason"]) for step in ("streaming", "single", "whisper")] == [
            ("open", "unauthenticated"),
            ("open", "unauthenticated"),
            ("closed", ""),
        ]

        up.double.clear()
        await until(lambda: up.service.health.degraded() is None)

        second = await up.call(TALK.mulaw)
        assert up.heard.texts(second.call_sid) == words_of(TALK)
        assert up.modes(second.call_sid) == ["streaming"] * 2


async def test_without_whisper_the_pod_says_so_and_nobody_loops(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        up.service.health.ask_every = 1000
        up.double.inject(*UNKNOWN_TO_GOOGLE)

        report = await up.call(TALK.mulaw)

        assert report.clean
        assert len(up.heard.finals(report.call_sid)) == 2
        code, body = await ready(up)
        assert (code, body["status"]) == (503, "recognizer: unauthenticated")
        stats = up.double.stats()
        assert stats["streams_opened"] == 1
        assert stats["unary_calls"] <= 3  # one an utterance, as there is nobody else to ask, and one to make sure


@pytest.mark.nightly
async def test_a_pod_that_gets_no_calls_becomes_ready_by_itself(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        up.service.health.ask_every = 0.2
        up.double.inject(*UNKNOWN_TO_GOOGLE)
        await up.call(TALK.mulaw)
        assert (await ready(up))[0] == 503

        up.double.clear()

        await until(lambda: up.service.why_not_ready() is None)
        assert await ready(up) == (200, {"status": "ready"})
        calm = up.double.stats()["unary_calls"]
        report = await up.call(TALK.mulaw)
        assert up.heard.texts(report.call_sid) == words_of(TALK)
        assert up.modes(report.call_sid) == ["streaming"] * 2
        assert up.double.stats()["unary_calls"] == calm


async def test_wrong_credentials_show_at_the_rollout_and_not_at_the_first_call(tmp_path: Path) -> None:
    tmp_path.joinpath("live").mkdir()
    async with SpeechDouble() as double:
        port = await double.start()
        double.inject(*UNKNOWN_TO_GOOGLE)
        async with stack(tmp_path / "live", double_port=port, stt_check_at_start=True) as up:
            await until(lambda: up.service.why_not_ready() != "starting")
            code, body = await ready(up)
            assert (code, body["status"]) == (503, "recognizer: unauthenticated")
            assert double.stats()["unary_calls"] == 1


async def test_a_check_that_is_answered_makes_the_pod_ready(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK, stt_check_at_start=True) as up:
        await until(lambda: up.service.why_not_ready() is None)

        assert await ready(up) == (200, {"status": "ready"})
        assert up.double.stats()["unary_calls"] == 1


async def test_the_call_that_finds_no_free_stream_goes_by_single_requests(tmp_path: Path) -> None:
    """The quota is the process's own: it says nothing against Google."""
    async with stack(tmp_path, speed=QUICK, stt_max_streams=1) as up:
        reports = await asyncio.gather(*(up.call(TALK.mulaw) for _ in range(2)))

        assert [up.heard.texts(report.call_sid) for report in reports] == [words_of(TALK)] * 2
        sources = {frozenset(f.source for f in up.heard.finals(report.call_sid)) for report in reports}
        assert frozenset({"single"}) in sources
        assert up.double.stats()["streams_most"] == 1
        assert up.service.health.degraded() is None


async def test_the_status_has_the_pool_and_the_process(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK, stt_max_streams=300) as up, httpx.AsyncClient(trust_env=False) as http:
        status = (await http.get(f"{up.internal}/v1/status")).json()
        page = (await http.get(f"{up.internal}/metrics")).text

    assert {key: status["recognizer"][key] for key in ("streams", "requests", "limit")} == {
        "streams": 0,
        "requests": 0,
        "limit": 300,
    }
    assert status["process"]["tasks"] > 1
    assert status["process"]["rss_mb"] > 10
    for name in ("batkol_tasks", "batkol_google_streams_limit", 'step="single"'):
        assert name in page
