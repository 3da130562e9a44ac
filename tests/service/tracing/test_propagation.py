"""A trace that travels through Twilio and comes back, or comes back as something else."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span, use_span

from batkol.tracing import propagation
from batkol.twilio.twiml import connect_stream

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")
SEAL = "a" * 64


def seal(_: str) -> str:
    return SEAL


def is_sealed(_: str, given: str) -> bool:
    return given == SEAL


def parent(caller: propagation.RemoteParent) -> tuple[int, int]:
    span = get_current_span(caller.parent).get_span_context()
    return span.trace_id, span.span_id


def test_the_webhooks_span_is_the_parent_and_the_handshakes_is_linked() -> None:
    webhook, handshake = TRACER.start_span("webhook"), TRACER.start_span("handshake")
    with use_span(webhook):
        carried = propagation.seal_parameter(seal)
    with use_span(handshake):
        caller = propagation.caller(carried[propagation.PARAMETER], is_sealed)

    assert parent(caller) == (webhook.get_span_context().trace_id, webhook.get_span_context().span_id)
    assert caller.links == (handshake.get_span_context(),)


def test_it_fits_into_a_parameter_and_without_tracing_there_is_none() -> None:
    with use_span(TRACER.start_span("webhook")):
        carried = propagation.seal_parameter(seal)
    twiml = connect_stream(url="wss://a.example/twilio/media", token="t", parameters=carried)

    assert f'<Parameter name="traceparent" value="{carried["traceparent"]}"/>' in twiml
    assert len(propagation.PARAMETER + carried["traceparent"]) < 500, "Twilio's limit"
    assert propagation.seal_parameter(seal) == {}


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "nonsense",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "1" * 16 + "-01-" + "x" * 400,
        "\x00" * 55,
        "<Parameter/>" * 5,
    ],
)
def test_what_is_no_traceparent_is_no_hint(forged: str) -> None:
    """The handshake's own span takes its place; without one the call is a root."""
    handshake = TRACER.start_span("handshake")
    with use_span(handshake):
        caller = propagation.caller(f"{forged}.{SEAL}", is_sealed)

    assert parent(caller) == (handshake.get_span_context().trace_id, handshake.get_span_context().span_id)
    assert caller.links == ()
    assert parent(propagation.caller(f"{forged}.{SEAL}", is_sealed)) == (0, 0)


@pytest.mark.parametrize("behind", ["", ".", f".{SEAL[1:]}", f".{SEAL}0"])
def test_a_traceparent_that_is_not_ours_is_no_parent(behind: str) -> None:
    forged = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"

    assert parent(propagation.caller(forged + behind, is_sealed)) == (0, 0)
    assert parent(propagation.caller(f"{forged}.{SEAL}", is_sealed))[0] == int("1" * 32, 16)


def test_the_handshakes_span_ends_where_the_call_begins() -> None:
    handshake = TRACER.start_span("handshake")
    with use_span(handshake, end_on_exit=False):
        propagation.handshake_over("CA1")

        assert not handshake.is_recording()
        propagation.handshake_over("CA1")
