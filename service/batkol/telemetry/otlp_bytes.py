"""A span as protobuf's bytes.

A message for each value, each attribute and each event was half of what tracing cost. Most of these bytes are the same
every time: keys, names, small numbers. What is not plain is left to the library's messages.
https://protobuf.dev/programming-guides/encoding/ and OTLP's trace.proto and common.proto, whose field numbers these are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import SpanFlags
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

_KINDS: Final = {kind: b"\x30" + bytes([kind.value + 1]) for kind in SpanKind}  # OTLP's 0 is "unspecified"
_CODES: Final = {code: b"\x18" + bytes([code.value]) if code.value else b"" for code in StatusCode}
_LOCAL: Final[int] = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE: Final[int] = _LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK

SPANS: Final = b"\x12"
"""The tag of the spans of a scope."""
_OF_SPAN, _OF_EVENT, _OF_LINK = b"\x4a", b"\x1a", b"\x22"  # the tags of their attributes
_MASK: Final = 2**64 - 1
_SHORT: Final = [bytes([number]) for number in range(128)]
_IDS: Final = Struct(">2sQQ2sQ").pack
_FLAGS: Final = Struct("<2sI").pack
_FIXED32: Final = Struct("<cI").pack
_FIXED: Final = Struct("<cQ").pack
_DOUBLE: Final = Struct("<cd").pack


def span(made: ReadableSpan) -> bytes:
    """Encode a span. Raises `ValueError` if it has no context, `TypeError` for what cannot be an attribute."""
    context, parent, status = made.context, made.parent, made.status
    if context is None:
        raise ValueError("a span without a context cannot be sent")
    parts = [_ids(context), _tagged(b"\x2a", made.name), _KINDS[made.kind], _attributes(_OF_SPAN, made.attributes)]
    if parent is not None:
        parts.append(b"\x22\x08" + parent.span_id.to_bytes(8))
    if made.start_time:
        parts.append(_FIXED(b"\x39", made.start_time))
    if made.end_time:
        parts.append(_FIXED(b"\x41", made.end_time))
    parts += [length_delimited(b"\x5a", _event(event)) for event in made.events]
    parts += [length_delimited(b"\x6a", _link(link)) for link in made.links]
    state = _CODES[status.status_code]
    if status.description:
        state = _text(b"\x12", status.description) + state
    parts += (length_delimited(b"\x7a", state), _FLAGS(b"\x85\x01", _flags(parent)), _dropped(made))
    return b"".join(parts)


def _dropped(made: ReadableSpan) -> bytes:
    dropped = ((b"\x50", made.dropped_attributes), (b"\x60", made.dropped_events), (b"\x70", made.dropped_links))
    return b"".join([tag + _varint(count) for tag, count in dropped if count])


def _ids(context: SpanContext) -> bytes:
    """Encode its own ids, and what the trace carries."""
    high, low = context.trace_id >> 64, context.trace_id & _MASK
    state = context.trace_state
    carried = _text(b"\x1a", ",".join(f"{key}={value}" for key, value in state.items())) if state else b""
    return _IDS(b"\x0a\x10", high, low, b"\x12\x08", context.span_id) + carried


def _event(event: Event) -> bytes:
    time = _FIXED(b"\x09", event.timestamp) if event.timestamp else b""
    dropped = b"\x20" + _varint(event.dropped_attributes) if event.dropped_attributes else b""
    return time + _tagged(b"\x12", event.name) + _attributes(_OF_EVENT, event.attributes) + dropped


def _link(link: Link) -> bytes:
    context = link.context
    high, low = context.trace_id >> 64, context.trace_id & _MASK
    dropped = b"\x28" + _varint(link.dropped_attributes) if link.dropped_attributes else b""
    flags = _FIXED32(b"\x35", _flags(context))
    ids = _IDS(b"\x0a\x10", high, low, b"\x12\x08", context.span_id)
    return ids + _attributes(_OF_LINK, link.attributes) + dropped + flags


def _flags(context: SpanContext | None) -> int:
    return _REMOTE if context is not None and context.is_remote else _LOCAL


# -- attributes ------------------------------------------------------------------------------------------------------


def _attributes(tag: bytes, found: Mapping[str, Any] | None) -> bytes:
    if not found:
        return b""
    parts: list[bytes] = []
    for key, value in found.items():
        kind = type(value)
        if kind is int or (kind is float and value):  # 0.0 and -0.0 are one key
            parts.append(_number(tag, key, value))
        elif kind is str:
            parts.append(_attribute(tag, key, length_delimited(b"\x0a", value.encode())))
        elif kind is bool:
            parts.append(_attribute(tag, key, b"\x10\x01" if value else b"\x10\x00"))
        else:
            parts.append(_attribute(tag, key, any_value(value).SerializeToString()))
    return b"".join(parts)


@lru_cache(maxsize=4096, typed=True)
def _number(tag: bytes, key: str, value: float) -> bytes:
    """Encode a number: partials are counted from 0, and so are their characters."""
    body = _DOUBLE(b"\x21", value) if isinstance(value, float) else b"\x18" + _varint(value & _MASK)
    return _attribute(tag, key, body)


def _attribute(tag: bytes, key: str, body: bytes) -> bytes:
    return length_delimited(tag, _key(key) + length_delimited(b"\x12", body))


@lru_cache(maxsize=1024)
def _key(key: str) -> bytes:
    return _text(b"\x0a", key)


def any_value(value: object) -> AnyValue:
    """Make the message of what is not plain. Raises `TypeError` for what cannot be an attribute."""
    made = AnyValue()
    match value:
        case None:
            pass
        case bytes():
            made.bytes_value = value
        case str():  # and what derives from the plain kinds
            made.string_value = str(value)
        case bool():
            made.bool_value = value
        case int():
            made.int_value = int(value)
        case float():
            made.double_value = float(value)
        case _:
            made = _several(value)
    return made


def _several(value: object) -> AnyValue:
    made = AnyValue()
    match value:
        case Mapping():
            made.kvlist_value.SetInParent()
            for key, each in value.items():
                made.kvlist_value.values.add(key=str(key), value=any_value(each))
        case Sequence():
            made.array_value.SetInParent()
            made.array_value.values.extend(any_value(each) for each in value)
        case _:
            raise TypeError(f"an attribute cannot be a {type(value).__name__}")
    return made


# -- protobuf --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _tagged(tag: bytes, name: str) -> bytes:
    """Encode a name: there are few."""
    return _text(tag, name)


def _text(tag: bytes, text: str) -> bytes:
    return length_delimited(tag, text.encode()) if text else b""


def length_delimited(tag: bytes, body: bytes) -> bytes:
    """Encode a field of so many bytes."""
    size = len(body)
    return tag + (_SHORT[size] if size < 128 else _varint(size)) + body


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >= 128:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
