"""Spans as OTLP's protobuf, written in place.

The exporter's own encoder makes a message for each value, each attribute and each event, and copies each into the one
around it; with the partials of an utterance that was more than half of what tracing cost. Here every part is added
where it belongs. What comes out is the same (a test compares the two on any spans), and everything else about
exporting, retries and TLS included, is the library's.
https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, SpanFlags
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

_KINDS: Final[dict[SpanKind, Any]] = {kind: WireSpan.SpanKind.Value(f"SPAN_KIND_{kind.name}") for kind in SpanKind}
_STATUS: Final[dict[StatusCode, Any]] = {code: code.value for code in StatusCode}
_LOCAL: Final = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE: Final = _LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_Group = tuple[Resource, InstrumentationScope | None]


class SpanExporter(OTLPSpanExporter):
    """OTLP over gRPC, as the OTEL_EXPORTER_OTLP_* variables say."""

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        return encoded(data)


def encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """Encode spans, grouped by who made them."""
    request = ExportTraceServiceRequest()
    groups: dict[_Group, ScopeSpans] = {}
    newest: tuple[Resource | None, InstrumentationScope | None] = (None, None)
    scope: ScopeSpans | None = None
    for span in spans:
        maker = (span.resource, span.instrumentation_scope)
        if scope is None or maker[0] is not newest[0] or maker[1] is not newest[1]:  # hashing a resource is dear
            scope = groups[maker] if maker in groups else groups.setdefault(maker, _group(request, span))
            newest = maker
        _write(scope.spans.add(), span)
    return request


def _group(request: ExportTraceServiceRequest, span: ReadableSpan) -> ScopeSpans:
    """Let the library encode what is the same for all: resource and scope."""
    made = encode_spans([span]).resource_spans[0]
    del made.scope_spans[0].spans[:]
    group: ScopeSpans
    for known in request.resource_spans:
        if known.resource == made.resource and known.schema_url == made.schema_url:
            known.scope_spans.append(made.scope_spans[0])
            group = known.scope_spans[-1]
            return group
    request.resource_spans.append(made)
    group = request.resource_spans[-1].scope_spans[0]
    return group


def _write(wire: WireSpan, span: ReadableSpan) -> None:
    context, parent = span.context, span.parent
    if context is None:
        raise ValueError("a span without a context cannot be sent")
    wire.trace_id = context.trace_id.to_bytes(16)
    wire.span_id = context.span_id.to_bytes(8)
    wire.name = span.name
    wire.kind = _KINDS[span.kind]
    if context.trace_state:
        wire.trace_state = ",".join(f"{key}={value}" for key, value in context.trace_state.items())
    if parent is not None:
        wire.parent_span_id = parent.span_id.to_bytes(8)
    wire.flags = _flags(parent)
    if span.start_time is not None:
        wire.start_time_unix_nano = span.start_time
    if span.end_time is not None:
        wire.end_time_unix_nano = span.end_time
    _add(wire.attributes, span.attributes)
    _write_events(wire, span)
    _write_links(wire, span)
    wire.status.code = _STATUS[span.status.status_code]
    if span.status.description:
        wire.status.message = span.status.description
    wire.dropped_attributes_count = span.dropped_attributes
    wire.dropped_events_count = span.dropped_events
    wire.dropped_links_count = span.dropped_links


def _write_events(wire: WireSpan, span: ReadableSpan) -> None:
    for event in span.events:
        one = wire.events.add()
        one.name = event.name
        one.time_unix_nano = event.timestamp
        _add(one.attributes, event.attributes)
        if event.dropped_attributes:
            one.dropped_attributes_count = event.dropped_attributes


def _write_links(wire: WireSpan, span: ReadableSpan) -> None:
    for link in span.links:
        one = wire.links.add()
        one.trace_id = link.context.trace_id.to_bytes(16)
        one.span_id = link.context.span_id.to_bytes(8)
        one.flags = _flags(link.context)
        _add(one.attributes, link.attributes)
        if link.dropped_attributes:
            one.dropped_attributes_count = link.dropped_attributes


def _flags(context: SpanContext | None) -> Any:
    return _REMOTE if context is not None and context.is_remote else _LOCAL


def _add(fields: Any, attributes: Mapping[str, Any] | None) -> None:
    if not attributes:
        return
    for key, value in attributes.items():
        field = fields.add()
        field.key = key
        _set(field.value, value)


def _set(wire: AnyValue, value: Any) -> None:
    kind = type(value)
    if kind is str:
        wire.string_value = value
    elif kind is int:
        wire.int_value = value
    elif kind is float:
        wire.double_value = value
    elif kind is bool:
        wire.bool_value = value
    else:
        _set_rare(wire, value)


def _set_rare(wire: AnyValue, value: Any) -> None:
    match value:
        case None:
            wire.SetInParent()
        case bytes():
            wire.bytes_value = value
        case str():  # and what derives from the plain kinds
            wire.string_value = str(value)
        case int():
            wire.int_value = int(value)
        case float():
            wire.double_value = float(value)
        case Mapping():
            wire.kvlist_value.SetInParent()
            _add(wire.kvlist_value.values, {str(key): each for key, each in value.items()})
        case Sequence():
            wire.array_value.SetInParent()
            for each in value:
                _set(wire.array_value.values.add(), each)
        case _:
            raise TypeError(f"an attribute cannot be a {type(value).__name__}")
