"""OTEL_* variables as platforms inject them: a real process starts, is ready, takes calls, and says what is off."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.simulators.client.otlp_collector import Collector
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import place_call
from batkol.voices.marked.voice import script
from support.http.hostile_server import hostile_http
from support.service.process import Served, serving
from support.service.stack import QUICK, words_of
from support.time.waiting import until

ONE = script([["שלום", "תודה"]], tail_ms=700)
SECRET = "Zq7"
OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
IMPATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}


async def served_call(
    folder: Path, variables: Mapping[str, Any], delivered: Callable[[], bool] = lambda: True
) -> tuple[Served, dict[str, Any]]:
    """Have the process take one call and, with that `delivered`, leave; return it and its status after the call."""
    async with SpeechDouble() as double:
        port = await double.start()
        async with (
            serving(folder, port, speed=QUICK, **variables) as served,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            await served.ready()
            report = await place_call(served.plan(ONE.mulaw))
            assert report.clean
            await until(delivered)
            status: dict[str, Any] = (await http.get(f"{served.internal}/v1/status")).json()["telemetry"]
            served.tell(signal.SIGTERM)
            assert await served.exited() == 0
    assert served.texts == words_of(ONE)
    assert SECRET not in served.log.read_text() + str(status)
    return served, status


def complaint(served: Served) -> dict[str, Any]:
    """Return the one error line."""
    (line,) = served.faults
    assert line["event"].startswith("[OTEL] telemetry does not work as the OTEL_* variables ask; the calls go on")
    return line


async def test_what_a_platform_injects_for_http_delivers_and_what_is_ignored_is_one_line(tmp_path: Path) -> None:
    async with Collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.http_endpoint}/ \n",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {SECRET},broken: {SECRET}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "10s",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd",
            "OTEL_PROPAGATORS": "b3",
            **OFTEN,
        }
        served, status = await served_call(tmp_path, variables, lambda: "batkol.tuning.value" in collector.metrics)

    ignored = {f"OTEL_EXPORTER_OTLP_{name}" for name in ("HEADERS", "TIMEOUT", "COMPRESSION")}
    assert set(complaint(served)["ignored"]) == set(status["ignored"]) == ignored
    assert (status["traces"]["state"], status["metrics"]["state"]) == ("on", "on")
    assert (status["traces"]["delivering"], status["metrics"]["delivering"]) == (True, True)
    assert collector.named("utterance")
    assert "batkol.audio.written" in collector.metrics
    assert {post.path for post in collector.http.posts} == {"/v1/traces", "/v1/metrics"}
    assert {post.headers["authorization"] for post in collector.http.posts} == {f"Bearer {SECRET}"}


@pytest.mark.nightly
async def test_http_json_becomes_http_protobuf_each_signal_by_its_own_variables(tmp_path: Path) -> None:
    async with Collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.http_endpoint}/v1/traces",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_TRACES_SAMPLER": "jaeger_remote",
            **OFTEN,
        }
        served, status = await served_call(tmp_path, variables, lambda: bool(collector.metrics))

    assert set(complaint(served)["ignored"]) == {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_SAMPLER"}
    assert status["traces"]["exporters"] == status["metrics"]["exporters"] == ["otlp"]
    assert collector.named("utterance")
    assert "batkol.audio.written" in collector.metrics
    assert {(post.path, post.headers["content-encoding"]) for post in collector.http.posts} == {("/v1/traces", "gzip")}


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("variables", "traces", "metrics"),
    [
        pytest.param(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://user:{SECRET}@127.0.0.1:9",
                "OTEL_EXPORTER_OTLP_CERTIFICATE": f"/none/{SECRET}.pem",
                "OTEL_METRICS_EXPORTER": SECRET,
                "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": SECRET,
            },
            "OTEL_EXPORTER_OTLP_CERTIFICATE names a file that cannot be read",
            "OTEL_METRICS_EXPORTER names an exporter that is not installed",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"collector:4318/{SECRET}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": f"grpc+{SECRET}",
                "OTEL_PYTHON_TRACER_PROVIDER": SECRET,
                "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "(",
            },
            "OTEL_EXPORTER_OTLP_ENDPOINT is not an http:// or https:// URL",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL is not a protocol of OTLP",
        ),
    ],
)
async def test_what_cannot_work_is_off_and_said_and_costs_no_call(
    tmp_path: Path, variables: dict[str, str], traces: str, metrics: str
) -> None:
    served, status = await served_call(tmp_path, {**variables, **IMPATIENT})

    line = complaint(served)
    assert (status["traces"]["state"], status["metrics"]["state"]) == ("failed", "failed")
    assert line["traces"] == status["traces"]["failed"]
    assert traces in str(line["traces"])
    assert metrics in str(line["metrics"])
    assert (
        set(line["ignored"])
        == set(status["ignored"])
        == set(variables)
        & {
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_PYTHON_TRACER_PROVIDER",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        }
    )


@pytest.mark.nightly  # the process waits 8 s for its collector
async def test_a_collector_that_drips_does_not_hold_a_stop(tmp_path: Path) -> None:
    """The quick one of each exporter is in tests/service/otel/test_hostile_collectors.py."""
    async with hostile_http("drip") as server:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "100",
            **OFTEN,
        }
        served, status = await served_call(tmp_path, variables)

    assert (status["traces"]["state"], status["metrics"]["state"]) == ("on", "on")
    assert any(line["event"] == "[OTEL] collector did not take the last spans in time" for line in served.lines)
