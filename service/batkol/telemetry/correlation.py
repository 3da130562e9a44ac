"""The ids that a log line and a trace share, as OpenTelemetry writes them."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.trace import SpanContext, format_span_id, format_trace_id, get_current_span


def ids(span: SpanContext) -> Mapping[str, str]:
    """Return trace and span for a log line, in hexadecimal; empty for no span."""
    if not span.is_valid:
        return {}
    return {"trace_id": format_trace_id(span.trace_id), "span_id": format_span_id(span.span_id)}


def current_ids() -> Mapping[str, str]:
    """Return trace and span of what is being served here: a request, or a call."""
    return ids(get_current_span().get_span_context())
