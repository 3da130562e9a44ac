"""Spans that are written down whole, when they are over.

The SDK's `Span` is made for what is not known yet: each attribute and event goes in under a lock and is checked on its
own, which for the partials of an utterance costs more than everything else that tracing does here. What is under an
utterance is known all at once, so it is made of plain values, and goes to the same processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

Attributes = dict[str, AttributeValue]

_UNSET: Final = Status(StatusCode.UNSET)
_IDS: Final = RandomIdGenerator()


class Noted(NamedTuple):
    """Something that happened, with its wall time in nanoseconds."""

    name: str
    at: int
    attributes: Attributes | None = None


class Past(NamedTuple):
    """A span that is over. Wall times in nanoseconds; `failed` is the description of its error."""

    name: str
    begun: int
    ended: int
    attributes: Attributes
    events: Sequence[Noted] = ()
    kind: SpanKind = SpanKind.INTERNAL
    failed: str = ""


@dataclass(frozen=True, slots=True)
class SpanWriter:
    """One per process. Whether a span is sampled is decided by its parent, whatever the sampler."""

    processor: SpanProcessor
    resource: Resource
    scope: InstrumentationScope
    limits: SpanLimits

    def write(self, past: Past, parent: SpanContext) -> None:
        """Hand a span over."""
        events = [Event(noted.name, self._bounded(noted.attributes), noted.at) for noted in past.events]
        self.processor.on_end(
            ReadableSpan(
                name=past.name,
                context=SpanContext(
                    parent.trace_id, _IDS.generate_span_id(), is_remote=False, trace_flags=parent.trace_flags
                ),
                parent=parent,
                resource=self.resource,
                attributes=self._bounded(past.attributes),
                events=BoundedList.from_seq(self.limits.max_events, events),
                kind=past.kind,
                status=Status(StatusCode.ERROR, past.failed) if past.failed else _UNSET,
                start_time=past.begun,
                end_time=past.ended,
                instrumentation_scope=self.scope,
            )
        )

    def _bounded(self, attributes: Attributes | None) -> Attributes | BoundedAttributes:
        """Cut long values where OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT asks for it; ours are few."""
        if self.limits.max_attribute_length is None:
            return attributes or {}
        return BoundedAttributes(
            maxlen=None, attributes=attributes, immutable=True, max_value_len=self.limits.max_attribute_length
        )
