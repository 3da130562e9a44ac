"""Spans that are written down whole, when they are over.

The SDK's `Span` is made for what is not known yet: each attribute and event goes in under a lock and is checked on its
own, which for the partials of an utterance costs more than everything else that tracing does here. What is under an
utterance is known all at once, so it is made of plain values, and goes to the same processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

Attributes = dict[str, AttributeValue]

_UNSET: Final = Status(StatusCode.UNSET)
_IDS: Final = RandomIdGenerator()


class SpanEvent(NamedTuple):
    """Something that happened: an event as exporters read one, without being made into the SDK's first."""

    name: str
    timestamp: int  # wall time in nanoseconds
    attributes: Attributes | None = None

    @property
    def dropped_attributes(self) -> int:
        """None ever is."""
        return 0


class SpanEventLike(Protocol):
    """An object with the fields of an event."""

    @property
    def name(self) -> str: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def attributes(self) -> Attributes | None: ...
    @property
    def dropped_attributes(self) -> int: ...


class FinishedSpan(NamedTuple):
    """A span that is over. Wall times in nanoseconds; `failed` is the description of its error."""

    name: str
    begun: int
    ended: int
    attributes: Attributes
    events: Sequence[SpanEventLike] = ()
    kind: SpanKind = SpanKind.INTERNAL
    failed: str = ""
    links: Sequence[Link] = ()


@dataclass(frozen=True, slots=True)
class SpanWriter:
    """One per process. The sampler decides about roots; what is under one goes where it goes."""

    processor: SpanProcessor
    sampler: Sampler
    resource: Resource
    scope: InstrumentationScope
    limits: SpanLimits

    def begin(self, name: str) -> SpanContext:
        """Begin a trace: its ids, and whether it is sampled. Nothing need be done if it never ends."""
        trace_id = _IDS.generate_trace_id()
        sampled = self.sampler.should_sample(None, trace_id, name)
        seen = sampled.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if seen else TraceFlags.DEFAULT)
        return SpanContext(trace_id, _IDS.generate_span_id(), False, flags, sampled.trace_state)

    def end(self, past: FinishedSpan, context: SpanContext) -> None:
        """Hand over the root that was begun with this context."""
        self._hand_over(past, context, None)

    def child(self, parent: SpanContext) -> SpanContext:
        """Begin a span under that parent: its ids, for the spans under it in turn."""
        return SpanContext(parent.trace_id, _IDS.generate_span_id(), False, parent.trace_flags)

    def write(self, past: FinishedSpan, parent: SpanContext, context: SpanContext | None = None) -> None:
        """Hand over a span under that parent; `context` if it was begun before, by `child`."""
        self._hand_over(past, context or self.child(parent), parent)

    def _hand_over(self, past: FinishedSpan, context: SpanContext, parent: SpanContext | None) -> None:
        self.processor.on_end(
            ReadableSpan(
                name=past.name,
                context=context,
                parent=parent,
                resource=self.resource,
                attributes=self._bounded(past.attributes),
                events=cast("Sequence[Event]", self._kept(past.events)),
                links=past.links,
                kind=past.kind,
                status=Status(StatusCode.ERROR, past.failed) if past.failed else _UNSET,
                start_time=past.begun,
                end_time=past.ended,
                instrumentation_scope=self.scope,
            )
        )

    def _kept(self, events: Sequence[SpanEventLike]) -> Sequence[SpanEventLike]:
        """As many as OTEL_SPAN_EVENT_COUNT_LIMIT allows, the newest; their values cut as those of the span are."""
        most = self.limits.max_events
        if self.limits.max_attribute_length is not None:
            events = [SpanEvent(each.name, each.timestamp, self._bounded(each.attributes)) for each in events]
        return events if most is None or len(events) <= most else BoundedList.from_seq(most, events)

    def _bounded(self, attributes: Attributes | None) -> Attributes:
        """Cut long values where OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT asks for it; Batkol's are few."""
        longest = self.limits.max_attribute_length
        if longest is None:
            return attributes or {}
        return dict(BoundedAttributes(maxlen=None, attributes=attributes, max_value_len=longest))
