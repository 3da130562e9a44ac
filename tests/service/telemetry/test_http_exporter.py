"""Spans over OTLP/HTTP, on the wire: the bytes of the gRPC exporter in a POST, as OTEL_EXPORTER_OTLP_* say."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from structlog.testing import capture_logs

from batkol.simulators.client.otlp_collector import Collector
from batkol.telemetry.metrics import Metrics
from batkol.tracing.tracing import Tracing, TracingSettings
from batkol_otel.environment import mend
from support.telemetry.traces import environment


async def sent(**variables: str) -> Tracing:
    """Send a span and the metrics as the environment says."""
    with environment(OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", **variables):
        assert mend() == {}
        tracing, metrics = Tracing.start(TracingSettings(pod="pod-1")), Metrics()
    with tracing.tracer.start_as_current_span("one", attributes={"a": [1, 2]}) as span:
        span.add_event("half")
    metrics.finals.add(2, {"source": "final"})
    await tracing.close()
    await metrics.aclose()
    return tracing


@pytest.mark.parametrize("compression", ["", "none", "gzip", "deflate"])
async def test_spans_and_metrics_arrive_with_headers_and_compression(compression: str) -> None:
    async with Collector() as collector:
        tracing = await sent(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.http_endpoint,
            OTEL_EXPORTER_OTLP_HEADERS="x-tenant=phones%20il",
            OTEL_EXPORTER_OTLP_COMPRESSION=compression,
        )

    (span,) = collector.spans
    assert (span.name, span.attributes, [event.name for event in span.events]) == ("one", {"a": [1, 2]}, ["half"])
    assert span.resource["k8s.pod.name"] == "pod-1"
    assert collector.metrics["batkol.finals"].sum.data_points[0].as_int == 2
    encodings = {post.headers.get("content-encoding", "none") for post in collector.http.posts}
    assert encodings == {compression or "none"}
    assert {post.headers["x-tenant"] for post in collector.http.posts} == {"phones il"}
    assert tracing.dropped == 0


@pytest.mark.parametrize("status", [HTTPStatus.FOUND, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND])
async def test_an_answer_that_is_no_success_is_a_loss_that_is_counted_and_said(status: HTTPStatus) -> None:
    """A redirect to a login page, for one: the library takes it for success."""
    async with Collector() as collector:
        collector.http.instead = status
        with capture_logs() as lines:
            tracing = await sent(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.http_endpoint}/v1/traces")

    assert tracing.dropped == 1
    assert not tracing.standing.status().delivering
    assert lines[0]["event"].startswith("[OTEL] collector does not take spans")
