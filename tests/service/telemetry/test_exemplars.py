"""The trace of an utterance beside the bucket that its latency fell into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from batkol.telemetry.metrics import Metrics

SAMPLED = TraceFlags(TraceFlags.SAMPLED)

GOOGLE = "google-v1/default"


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    yield metrics
    metrics.close()


def span(number: int, flags: TraceFlags = SAMPLED) -> SpanContext:
    return SpanContext(trace_id=number, span_id=number, is_remote=False, trace_flags=flags)


def exemplars(metrics: Metrics) -> dict[str, Exemplar]:
    families = text_string_to_metric_families(  # type: ignore[no-untyped-call]  # has no types
        metrics.render_openmetrics().decode()
    )
    samples = [sample for family in families for sample in family.samples if sample.exemplar]
    assert {sample.name for sample in samples} <= {"batkol_final_latency_seconds_bucket"}
    return {sample.labels["le"]: sample.exemplar for sample in samples if sample.exemplar}


def test_the_newest_trace_of_a_bucket_stays_on_the_page(metrics: Metrics) -> None:
    metrics.final.record(1.19, span(1), (GOOGLE,))
    metrics.final.record(70.0, span(2), (GOOGLE,))
    first = exemplars(metrics)
    metrics.final.record(1.16, span(3), (GOOGLE,))
    second = exemplars(metrics)

    assert {bound: found.labels["trace_id"] for bound, found in first.items()} == {
        "1.2": f"{1:032x}",
        "+Inf": f"{2:032x}",
    }
    assert first["1.2"].value == 1.19
    assert {bound: found.labels["span_id"] for bound, found in second.items()} == {
        "1.2": f"{3:016x}",
        "+Inf": f"{2:016x}",
    }


def test_what_has_no_trace_that_anybody_keeps_has_no_exemplar(metrics: Metrics) -> None:
    with use_span(NonRecordingSpan(span(9))):  # of a request that has nothing to do with it
        metrics.final.record(0.3, None, (GOOGLE,))
    metrics.final.record(0.3, span(1, TraceFlags(0)), (GOOGLE,))

    assert exemplars(metrics) == {}
    assert b"trace_id" not in metrics.render()


def test_the_environment_can_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", "always_off")
    metrics = Metrics()
    metrics.final.record(0.3, span(1), (GOOGLE,))

    assert exemplars(metrics) == {}
    metrics.close()
