"""What is sent is what the library's own encoder would send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from batkol.telemetry.encoding import encoded
from support.properties import few_by_day

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUE = PLAIN | st.lists(TEXT, max_size=3) | st.lists(st.integers(0, 9), max_size=3) | st.binary(max_size=4)
ATTRIBUTES = st.dictionaries(TEXT, VALUE, max_size=4)
TIME = st.integers(0, 2**63 - 1)
RESOURCES = (Resource({"service.name": "batkol"}), Resource({"service.name": "other"}, "https://example.com/schema"))
SCOPES = (InstrumentationScope("batkol", "1"), InstrumentationScope("http", "2", "https://example.com/s"), None)


@st.composite
def contexts(draw: st.DrawFn) -> SpanContext:
    return SpanContext(
        draw(st.integers(1, 2**128 - 1)),
        draw(st.integers(1, 2**64 - 1)),
        is_remote=draw(st.booleans()),
        trace_flags=TraceFlags(1),
        trace_state=TraceState(draw(st.sampled_from([[], [("a", "1"), ("b", "2")]]))),
    )


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    code = draw(st.sampled_from(StatusCode))
    return ReadableSpan(
        name=draw(TEXT),
        context=draw(contexts()),
        parent=draw(st.none() | contexts()),
        resource=draw(st.sampled_from(RESOURCES)),
        attributes=draw(ATTRIBUTES),
        events=draw(st.lists(st.builds(Event, TEXT, ATTRIBUTES, TIME), max_size=3)),
        links=draw(st.lists(st.builds(Link, contexts(), ATTRIBUTES), max_size=2)),
        kind=draw(st.sampled_from(SpanKind)),
        status=Status(code, draw(TEXT) if code is StatusCode.ERROR else None),
        start_time=draw(TIME),
        end_time=draw(st.none() | TIME),
        instrumentation_scope=draw(st.sampled_from(SCOPES)),
    )


@few_by_day(25)
@given(st.lists(spans(), max_size=6))
def test_any_spans_are_encoded_as_the_library_encodes_them(made: list[ReadableSpan]) -> None:
    assert encoded(made) == encode_spans(made)


def test_what_is_no_attribute_is_refused() -> None:
    broken: dict[str, Any] = {"a": object()}
    span = ReadableSpan(name="x", context=SpanContext(1, 2, is_remote=False), attributes=broken)
    with pytest.raises(TypeError, match="cannot be a object"):
        encoded([span])
