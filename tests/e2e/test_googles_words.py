"""What Google says at the start: in the log, in the status and in the readiness, each with what to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from batkol.app.patience import Patience
from batkol.simulators.google.faults import Fault, Kind, Surface
from batkol.simulators.google.refusals import PROJECT, REFUSALS
from batkol.simulators.google.server import SpeechDouble
from batkol.voices.marked.voice import script
from support.google.key_files import write_key_file
from support.http.one_answer import answering, text
from support.service.stack import QUICK, Stack, stack
from support.time.waiting import until

TALK = script([["שלום", "אני"]], gap_ms=900, tail_ms=900)
OFTEN = Patience(ask=0.02)
REMEDIES = {
    "SERVICE_DISABLED": f"Enable the Cloud Speech-to-Text API in the project {PROJECT}",
    "BILLING_DISABLED": f"Link a billing account to the project {PROJECT}",
    "IAM_PERMISSION_DENIED": "roles/speech.client",
    "USER_PROJECT_DENIED": "roles/serviceusage.serviceUsageConsumer",
    "CONSUMER_SUSPENDED": "suspended",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "the scope cloud-platform",
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": "create another one",
}


def refusing(word: str) -> list[Fault]:
    return [Fault(kind=Kind.END, surface=surface, refusal=word) for surface in Surface]


async def asked(up: Stack, path: str) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{up.internal}{path}")
    body: dict[str, Any] = answer.json()
    return answer.status_code, body


async def recognizer(up: Stack) -> dict[str, Any]:
    _, status = await asked(up, "/v1/status")
    found: dict[str, Any] = status["recognizer"]
    return found


@asynccontextmanager
async def refused_from_the_start(folder: Path, word: str, **settings: Any) -> AsyncIterator[Stack]:
    async with SpeechDouble() as double:
        port = await double.start()
        double.inject(*refusing(word))
        async with stack(
            folder, double_port=port, speed=QUICK, stt_check_at_start=True, patience=OFTEN, **settings
        ) as up:
            up.double = double
            await until(lambda: up.service.health.check_status().state == "refused")
            yield up


def of_step(lines: list[Any], step: str) -> Mapping[str, Any]:
    (line,) = (line for line in lines if line.get("step") == step)
    found: Mapping[str, Any] = line
    return found


async def test_each_refusal_at_the_start_is_in_the_log_the_status_and_the_readiness(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with refused_from_the_start(tmp_path, "SERVICE_DISABLED") as up:
            for word, remedy in REMEDIES.items():
                up.double.clear()
                up.double.inject(*refusing(word))
                words = REFUSALS[word].text
                await until(lambda: words in up.service.health.check_status().said)  # noqa: B023 - at once
                status = await recognizer(up)
                code, body = await asked(up, "/readyz")

                for shown in (status["check"], status["health"]["single"], status["health"]["streaming"], body):
                    assert shown["said"] == f"{REFUSALS[word].code.name}: {words}"
                    assert remedy in shown["remedy"]
                assert (code, body["status"]) == (503, f"recognizer: {status['check']['reason']}")
                assert status["check"]["state"] == "refused"
            opened = up.double.stats()["streams_opened"]
            up.double.clear()
            await until(lambda: up.service.why_not_ready() is None)
            assert await asked(up, "/readyz") == (200, {"status": "ready"})
            assert (await recognizer(up))["check"]["state"] == "accepted"
    first = next(line for line in lines if line.get("step") == "single" and line["log_level"] == "error")
    later = [line for line in lines if line["event"].startswith("[STT] Google refuses the service's request for an")]

    assert REFUSALS["SERVICE_DISABLED"].text in first["said"]
    assert REMEDIES["SERVICE_DISABLED"] in first["remedy"]
    assert [line["said"].partition(": ")[2] for line in later] == [
        REFUSALS[word].text for word in REMEDIES if word != "SERVICE_DISABLED"
    ]
    assert opened == 0


async def test_strangers_on_the_public_port_are_told_nothing_of_it(tmp_path: Path) -> None:
    async with refused_from_the_start(tmp_path, "BILLING_DISABLED") as up, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{up.url}/readyz")

    assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})


async def test_a_refused_pod_that_has_whisper_stays_ready_and_hears(tmp_path: Path) -> None:
    async with (
        answering(text("שלום")) as (url, _),
        refused_from_the_start(tmp_path, "BILLING_DISABLED", whisper_url=url) as up,
    ):
        code, body = await asked(up, "/readyz")
        report = await up.call(TALK.mulaw)

        assert (code, body["status"]) == (200, "ready")
        assert "streaming: permission_denied" in body["degraded"]
        assert REMEDIES["BILLING_DISABLED"] in body["remedy"]
        assert up.heard.texts(report.call_sid) == ["שלום"]


@pytest.mark.parametrize(("content", "what_is_wrong"), [(None, "does not exist"), (b"{", "is not JSON")])
async def test_a_service_without_a_good_key_file_starts_says_so_and_finds_the_file_that_comes_later(
    content: bytes | None, what_is_wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Whisper, calls are heard meanwhile."""
    path = tmp_path / "google.json"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with capture_logs() as lines:
        async with (
            answering(text("שלום")) as (url, _),
            stack(
                tmp_path / "live",
                gcp_stt_endpoint="127.0.0.1:9",
                gcp_stt_insecure=False,
                whisper_url=url,
                patience=OFTEN,
            ) as up,
        ):
            await until(lambda: up.service.health.check_status().state == "refused")
            status = await recognizer(up)
            code, body = await asked(up, "/readyz")
            report = await up.call(TALK.mulaw)
            write_key_file(path, "http://127.0.0.1:9/token")
            await until(lambda: up.service.health.check_status().state == "no_answer")
            later = await recognizer(up)
    single = of_step([line for line in lines if line["log_level"] == "error"], "single")

    assert single["said"] == status["check"]["said"] == body["said"]
    assert f"{path}, {what_is_wrong}" in single["said"]
    assert "GOOGLE_APPLICATION_CREDENTIALS" in single["remedy"]
    assert single["remedy"] == status["check"]["remedy"] == body["remedy"]
    assert (code, status["check"]["reason"]) == (200, "credentials")
    assert up.heard.texts(report.call_sid) == ["שלום"]
    assert later["check"]["reason"] == "unavailable"


async def test_a_google_that_is_not_reached_at_the_start_costs_no_readiness_and_is_asked_again(tmp_path: Path) -> None:
    away = Fault(kind=Kind.END, surface=Surface.UNARY, code="UNAVAILABLE")
    with capture_logs() as lines:
        async with SpeechDouble() as double:
            port = await double.start()
            double.inject(away)
            async with stack(tmp_path, double_port=port, stt_check_at_start=True) as up:
                await until(lambda: up.service.health.check_status().state == "no_answer")
                code, body = await asked(up, "/readyz")
                before = double.stats()["unary_calls"]
    said = [line for line in lines if line["event"].startswith("[STT] Google does not answer the service's request")]

    assert (code, body["status"], body["degraded"]) == (200, "ready", "google: unavailable")
    assert "speech.googleapis.com:443" in body["remedy"]
    assert (before, len(said), said[0]["log_level"]) == (1, 1, "warning")
    assert said[0]["remedy"] == body["remedy"]


async def test_what_whisper_says_is_for_readers_with_a_token_alone(tmp_path: Path) -> None:
    async with stack(tmp_path, whisper_url="http://127.0.0.1:9", stt_check_at_start=False) as up:
        loop_time = up.service.health._loop.time()
        up.service.recognizers.breakers[up.service.recognizers.fallbacks[1][0]].fail(
            loop_time, "http_error", grave=True
        )
        code, body = await asked(up, "/readyz")

    assert (code, json.dumps(body)) == (200, '{"status": "ready", "degraded": "whisper: http_error"}')
