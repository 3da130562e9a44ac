"""Each exporter over HTTP, of the service and of the operator, against servers that do a client harm."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from batkol.simulators.client.otlp_collector import Collector
from batkol.telemetry.metrics import Metrics
from batkol.tracing.tracing import Tracing, TracingSettings
from batkol_operator.tracing import tracer_provider
from batkol_otel.environment import mend
from batkol_otel.http_session import LARGEST
from support.http.hostile_server import WAYS, hostile_http
from support.telemetry.traces import environment
from support.time.waiting import until

SLOW = frozenset({"no answer", "drip", "dripping head"})
"""What only the time-out ends."""

Send = Callable[[float], Awaitable[None]]
"""Send one export, then close within so many seconds."""


async def spans_of_the_service(flush_s: float) -> None:
    tracing = Tracing.start(TracingSettings())
    tracing.tracer.start_span("one").end()
    await tracing.close(flush_s)


async def metrics_of_the_service(flush_s: float) -> None:
    metrics = Metrics()
    metrics.finals.add(1, {"source": "final"})
    await metrics.aclose(flush_s)


async def spans_of_the_operator(flush_s: float) -> None:
    provider = tracer_provider("", {}, flush_s=flush_s)
    provider.get_tracer("test").start_span("one").end()
    await asyncio.to_thread(provider.shutdown)


SENDERS = (spans_of_the_service, metrics_of_the_service, spans_of_the_operator)
THREADS = ("spans", "OtelPeriodicExportingMetricReader", "OtelBatchSpanRecordProcessor")


def over_http(url: str, timeout_s: float) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout_s),
    }


def exporting() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREADS)]


@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_hostile_collector_costs_one_export_and_little_else(way: str, send: Send) -> None:
    """Not closing ends the slow ones here, but their time-out: closing would wait for longer."""
    async with hostile_http(way) as server:
        with capture_logs() as lines, environment(**over_http(server.url, 0.25 if way in SLOW else 20.0)):
            assert mend() == {}
            await send(20.0)
        await server.check(largest=8 * LARGEST)

    (line,) = [line for line in lines if line["event"].startswith("[OTEL] collector does not take")]
    assert line["log_level"] == "warning"
    assert exporting() == []


@pytest.mark.parametrize("send", SENDERS)
@pytest.mark.parametrize("way", ["drip", "dripping head"])
async def test_closing_ends_an_export_that_a_hostile_collector_holds(way: str, send: Send) -> None:
    async with hostile_http(way) as server:
        with capture_logs(), environment(**over_http(server.url, 100.0)):
            await send(0.1)
            await until(lambda: not exporting())
        assert len(server.asked) == 1


@pytest.mark.parametrize("send", SENDERS)
async def test_a_collector_that_is_well_takes_everything(send: Send) -> None:
    async with Collector() as collector:
        with capture_logs() as lines, environment(**over_http(collector.http_endpoint, 20.0)):
            await send(20.0)

    assert lines == []
    assert collector.spans or collector.metrics


async def test_a_plug_in_for_logins_is_not_used_and_said() -> None:
    with environment(OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER="gcp"):
        assert "OTEL_EXPORTER_OTLP_HEADERS" in mend()["OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"]
