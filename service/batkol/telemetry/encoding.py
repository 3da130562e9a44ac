"""The encoder of exported spans: OTLP's protobuf, by a shorter way than the library's.

The exporter's own encoder makes a message for each value, each attribute and each event, and copies each into the one
around it; with the partials of an utterance that was more than half of what tracing cost. Here spans are written as
bytes. What comes out is the same (a test compares the two on any spans), and everything else about exporting, retries
and TLS included, is the library's.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc
from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from batkol.telemetry import otlp_bytes


class GrpcSpanExporter(over_grpc.OTLPSpanExporter):
    """OTLP over gRPC, by the OTEL_EXPORTER_OTLP_* variables."""

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        return encoded(data)


class HttpSpanExporter(over_http.OTLPSpanExporter):
    """OTLP over HTTP: the same bytes in a POST, by the same variables."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans, and repeat what may be repeated; blocks for at most OTEL_EXPORTER_OTLP_TIMEOUT.

        That limit, and that a redirect is a failure, is the work of the session (`batkol_otel.http_session`).
        """
        if self._shutdown:
            return SpanExportResult.FAILURE
        answer = self._client.export(encoded(spans).SerializeToString())
        return SpanExportResult.SUCCESS if answer.success else SpanExportResult.FAILURE


def encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """Encode spans, grouped by who made them."""
    of_makers: dict[tuple[int, int], tuple[ReadableSpan, list[bytes]]] = {}
    for span in spans:
        maker = (id(span.resource), id(span.instrumentation_scope))  # a resource's hash is that of its JSON
        if maker not in of_makers:
            of_makers[maker] = (span, [])
        of_makers[maker][1].append(otlp_bytes.length_delimited(otlp_bytes.SPANS, otlp_bytes.span(span)))
    request = ExportTraceServiceRequest()
    for example, parts in of_makers.values():
        _group(request, example).MergeFromString(b"".join(parts))
    return request


def _group(request: ExportTraceServiceRequest, span: ReadableSpan) -> ScopeSpans:
    """Let the library encode what is the same for all: resource and scope."""
    made = encode_spans([span]).resource_spans[0]
    del made.scope_spans[0].spans[:]
    for known in request.resource_spans:
        if known.resource == made.resource and known.schema_url == made.schema_url:
            return _scope(known, made.scope_spans[0])
    request.resource_spans.append(made)
    return _scope(request.resource_spans[-1], made.scope_spans[0])


def _scope(known: ResourceSpans, wanted: ScopeSpans) -> ScopeSpans:
    group: ScopeSpans
    for group in known.scope_spans:
        if group.scope == wanted.scope and group.schema_url == wanted.schema_url:
            return group
    known.scope_spans.append(wanted)
    group = known.scope_spans[-1]
    return group
