"""An OTLP collector: the official gRPC services for traces and metrics on a port of this machine, OTLP/HTTP on another.

It keeps what it gets. It can also do what collectors do to those who send: answer late, refuse, or be gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from batkol.simulators.client.otlp_http import HttpReceiver

_STATUS = {
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_FOUND,
}
"""HTTP status codes for gRPC status codes."""


class CollectedEvent(NamedTuple):
    """An event of a span. Wall time in nanoseconds."""

    name: str
    at: int
    attributes: dict[str, Any]


class SpanReceived(NamedTuple):
    """A span as it came over the wire. Ids in hexadecimal, wall times in nanoseconds."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    begun: int
    ended: int
    failed: bool
    status: str
    attributes: dict[str, Any]
    events: list[CollectedEvent]
    links: list[tuple[str, str]]
    resource: dict[str, Any]
    scope: str

    @property
    def ms(self) -> float:
        """Duration of the span, in ms."""
        return (self.ended - self.begun) / 1e6

    def named(self, event: str) -> list[CollectedEvent]:
        """Return its events of that name."""
        return [happening for happening in self.events if happening.name == event]


class Collector:
    """An async context manager. `delay_s` and `refuse` may be changed while it serves."""

    def __init__(self) -> None:
        self.spans: list[SpanReceived] = []
        self.metrics: dict[str, Metric] = {}  # as they were sent last, by name
        self.exemplars: list[tuple[str, Exemplar]] = []  # all of them, with the metric's name
        self.requests = 0
        self.delay_s = 0.0
        self.refuse: grpc.StatusCode | None = None
        self.port = 0
        self.http = HttpReceiver(self._serve_post)
        self._server: Any = None

    @property
    def endpoint(self) -> str:
        """The value for OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def http_endpoint(self) -> str:
        """The value for OTEL_EXPORTER_OTLP_ENDPOINT with `http/protobuf`."""
        return f"http://127.0.0.1:{self.http.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen: on the port it had before, if it was stopped."""
        self._server = grpc.aio.server()
        add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server  # generated, without types
        add(_Service(self), self._server)
        add = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
        add(_Metrics(self), self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()
        await self.http.start()

    async def stop(self) -> None:
        """Be gone; requests under way are cut off."""
        await self._server.stop(None)
        await self.http.stop()

    def named(self, name: str, trace_id: str | None = None) -> list[SpanReceived]:
        """Return the spans whose name begins so, of one trace or of all, in order of time."""
        found = [s for s in self.spans if s.name.startswith(name) and trace_id in {None, s.trace_id}]
        return sorted(found, key=lambda span: span.begun)

    def trace(self, trace_id: str) -> list[SpanReceived]:
        """Return one trace in order of time, its root first."""
        return sorted((s for s in self.spans if s.trace_id == trace_id), key=lambda s: (s.parent_id != "", s.begun))

    async def receive_spans(self, request: Any, context: Any) -> Any:
        """Serve one export."""
        self.requests += 1
        await self._trouble(context)
        self._keep(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    async def receive_metrics(self, request: Any, context: Any) -> Any:
        """Serve one export of metrics."""
        await self._trouble(context)
        self._keep(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()

    async def _serve_post(self, request: Any) -> tuple[HTTPStatus, bytes]:
        """Serve one export that came by HTTP. The answers to both kinds are empty messages."""
        self.requests += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.refuse is not None:
            return _STATUS.get(self.refuse, HTTPStatus.BAD_REQUEST), b""
        self._keep(request)
        return HTTPStatus.OK, b""

    def _keep(self, request: Any) -> None:
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            self.spans.extend(_received(request))
            return
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics.update({metric.name: metric for metric in scope.metrics})
                self.exemplars.extend(_exemplars(scope.metrics))

    async def _trouble(self, context: Any) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.refuse is not None:
            await context.abort(self.refuse, "as configured")


class _Service(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  gRPC's name
        return await self._collector.receive_spans(request, context)


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  gRPC's name
        return await self._collector.receive_metrics(request, context)


def _received(request: Any) -> Iterator[SpanReceived]:
    for resource_spans in request.resource_spans:
        resource = _values(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _span(span, resource, scope_spans.scope.name)


def _span(span: WireSpan, resource: dict[str, Any], scope: str) -> SpanReceived:
    return SpanReceived(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        begun=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        status=span.status.message,
        attributes=_values(span.attributes),
        events=[CollectedEvent(event.name, event.time_unix_nano, _values(event.attributes)) for event in span.events],
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        resource=resource,
        scope=scope,
    )


def _exemplars(metrics: Sequence[Metric]) -> Iterator[tuple[str, Exemplar]]:
    for metric in metrics:
        for point in metric.histogram.data_points:
            yield from ((metric.name, exemplar) for exemplar in point.exemplars)


def _values(attributes: Sequence[KeyValue]) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)
