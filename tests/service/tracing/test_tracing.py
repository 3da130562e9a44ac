"""What OpenTelemetry's variables decide."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import Span

from batkol.events.identity import Identity
from batkol.live.tuning import Tuning
from batkol.simulators.client.otlp_collector import Collector
from batkol.tracing.call import CallTrace
from batkol.tracing.propagation import RemoteParent, caller
from batkol.tracing.tracing import Tracing, TracingSettings
from support.telemetry.traces import environment, tracing

CARRIED = "00-" + "1" * 32 + "-" + "2" * 16 + "-01.seal"


def call(made: Tracing, origin: RemoteParent | None = None) -> CallTrace:
    identity = Identity(call_sid="CA1", stream_sid="MZ1", account_sid="AC1")
    return made.call(identity, since=lambda _: 0.0, tuning=Tuning, model=lambda: "default", caller=origin)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9"},
    ],
)
async def test_without_an_exporter_there_is_nothing_not_even_what_a_caller_says(variables: dict[str, str]) -> None:
    with environment(**variables):
        made = Tracing.start(TracingSettings())
    trace = call(made, caller(CARRIED, lambda *_: True))
    trace.close(reason="stop", close_code=1000, gap_ms=0)

    assert not made.enabled
    assert trace.ids == {}
    assert (made.dropped, await made.flush()) == (0, True)
    await made.close()


async def test_the_resource_is_ours_unless_the_environment_says_otherwise() -> None:
    async with Collector() as collector:
        said = {"OTEL_RESOURCE_ATTRIBUTES": "k8s.namespace.name=phones,service.version=7", "OTEL_SERVICE_NAME": "bat"}
        for variables in ({}, said):
            with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **variables):
                made = Tracing.start(TracingSettings(pod="pod-1"))
                call(made).close(reason="stop", close_code=1000, gap_ms=0)
                await made.close()

    ours, theirs = (span.resource for span in collector.spans)
    assert (ours["service.name"], ours["service.instance.id"], ours["k8s.pod.name"]) == ("batkol", "pod-1", "pod-1")
    assert (theirs["service.name"], theirs["service.version"]) == ("bat", "7")
    assert (theirs["k8s.namespace.name"], theirs["k8s.pod.name"]) == ("phones", "pod-1")


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_EXPORTER"])
async def test_an_exporter_that_is_not_there_costs_the_traces_and_says_what_to_do(variable: str) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", variable: "carrier-pigeon"}
    with environment(**variables):
        made = Tracing.start(TracingSettings())

    (why,) = made.standing.failed.values()
    assert (made.enabled, made.standing.state) == (False, "failed")
    assert f"{variable} " in why
    assert "set it to" in why
    await made.close()


async def test_an_exporter_that_works_does_not_suffer_from_one_that_does_not() -> None:
    async with Collector() as collector:
        with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_TRACES_EXPORTER="otlp,zipkin"):
            made = Tracing.start(TracingSettings())
        call(made).close(reason="stop", close_code=1000, gap_ms=0)
        await made.close()

    assert made.standing.state == "on"
    assert list(made.standing.failed) == ["zipkin"]
    assert collector.named("call")


async def test_a_span_holds_the_partials_of_the_longest_utterance_unless_told_otherwise() -> None:
    async with Collector() as collector:
        for variables, held in (({}, 512), ({"OTEL_SPAN_EVENT_COUNT_LIMIT": "7"}, 7)):
            async with tracing(collector):
                pass
            with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **variables):
                made = Tracing.start(TracingSettings())
                span = made.tracer.start_span("one")
                assert isinstance(span, Span)
                for _ in range(600):
                    span.add_event("partial")
                assert len(span.events) == held
                await made.close()


async def test_a_parent_that_comes_back_is_taken_and_calls_that_are_refused_end_too() -> None:
    async with Collector() as collector, tracing(collector) as made:
        call(made, caller(CARRIED, lambda *_: True)).close(reason="refused", close_code=None, gap_ms=0)
        assert await made.flush()

        (span,) = collector.spans
    assert (span.trace_id, span.parent_id) == ("1" * 32, "2" * 16)
    assert span.attributes["batkol.call.end_reason"] == "refused"
