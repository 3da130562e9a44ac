"""Propagation of the webhook's trace to the media stream: a `<Parameter>` of the TwiML, in W3C's format.

Twilio hands the parameters back in `start`. A context decides what is sampled and where it is seen, so only our own is
taken: behind the `traceparent` (https://www.w3.org/TR/trace-context/) is a seal that the webhook made for this call.
Without its seal, or not well formed, it is no parent. No header of a request or handshake ever is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from batkol.telemetry import names

PARAMETER: Final = "traceparent"

SWITCHING: Final = 101

_LENGTH: Final = 55
_SEAL: Final = "."  # between the two
_W3C: Final = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class RemoteParent:
    """The origin of a call: its span is a child of `parent`, or a root if that holds none."""

    parent: Context = field(default_factory=Context)
    links: Sequence[SpanContext] = ()


class NoPropagator(TextMapPropagator):
    """Takes no context from a request and puts none into one.

    The SDK's own, `none`, gives the instrumentation None for a context, at which each request raises.
    """

    def extract(
        self,
        carrier: CarrierT,  # noqa: ARG002  it is what is not read
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,  # noqa: ARG002
    ) -> Context:
        """Return the context as it is."""
        return Context() if context is None else context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Put nothing."""

    @property
    def fields(self) -> set[str]:
        """None."""
        return set()


def seal_parameter(seal: Callable[[str], str]) -> dict[str, str]:
    """Return the parameter that carries the span being served, with its seal; empty where there is none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    traceparent = carrier.get(PARAMETER, "")
    return {PARAMETER: f"{traceparent}{_SEAL}{seal(traceparent)}"} if traceparent else {}


def caller(given: str, is_sealed: Callable[[str, str], bool]) -> RemoteParent:
    """Read the returned parameter, during the handshake: the webhook is the parent, and the handshake is linked to.

    `is_sealed(traceparent, seal)` returns whether this service issued it. Without a webhook to be found, the
    handshake's own span is the parent.
    """
    handshake = get_current_span().get_span_context()
    context = Context()
    traceparent, _, seal = given.partition(_SEAL)
    if len(traceparent) == _LENGTH and is_sealed(traceparent, seal):
        context = _W3C.extract({PARAMETER: traceparent}, Context())
    if get_current_span(context).get_span_context().is_valid:
        return RemoteParent(context, (handshake,) if handshake.is_valid else ())
    return RemoteParent(set_span_in_context(NonRecordingSpan(handshake), Context()))


def tag_request(call_sid: str) -> None:
    """Put the call's SID on the span of the request being served, so that a search for it finds that one too."""
    if call_sid:
        get_current_span().set_attribute(names.CALL_SID, call_sid)


def handshake_over(call_sid: str) -> None:
    """The stream has started: the span of the handshake ends here, and not with the call."""
    span = get_current_span()
    if span.is_recording():
        span.set_attributes({names.CALL_SID: call_sid, names.HTTP_STATUS: SWITCHING})
        span.end()
