"""Metrics that go to a collector over OTLP/gRPC, and a collector that does not want them."""

from __future__ import annotations

import grpc
import pytest
from opentelemetry.trace import SpanContext, TraceFlags
from structlog.testing import capture_logs

from batkol.simulators.client.otlp_collector import Collector
from batkol.telemetry.metrics import Metrics
from support.telemetry.traces import environment
from support.time.waiting import until

OFTEN = {"OTEL_METRIC_EXPORT_INTERVAL": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}

GOOGLE = "google-v1/default"


async def test_a_collector_gets_the_instruments_and_the_histograms_of_the_media_path() -> None:
    async with Collector() as collector:
        with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint):
            metrics = Metrics("pod-1")
        metrics.finals.add(2, {"source": "final"})
        metrics.audio_written(0.004, GOOGLE)
        metrics.audio_written(7.0, GOOGLE)
        await metrics.aclose()

    (finals,) = collector.metrics["batkol.finals"].sum.data_points
    (written,) = collector.metrics["batkol.audio.written"].histogram.data_points
    assert finals.as_int == 2
    assert (written.count, written.sum, sum(written.bucket_counts), written.bucket_counts[-1]) == (2, 7.004, 2, 1)
    assert len(written.bucket_counts) == len(written.explicit_bounds) + 1
    assert [(each.key, each.value.string_value) for each in written.attributes] == [("recognizer", GOOGLE)]


async def test_a_value_of_yes_or_no_arrives_as_a_number_and_keeps_no_other_from_arriving() -> None:
    async with Collector() as collector:
        with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint):
            metrics = Metrics("pod-1")
        metrics.gauge("one", "A value.", lambda: True)
        metrics.gauges("some", "Values.", lambda: {"yes": True, "no": False, "half": 0.5}, by="name")
        metrics.counter("counted", "{one}", "A count.", lambda: True)
        await metrics.aclose()

    values = [point.as_int or point.as_double for point in collector.metrics["some"].gauge.data_points]
    assert values == [1, 0, 0.5]
    assert [point.as_int for point in collector.metrics["one"].gauge.data_points] == [1]
    assert [point.as_int for point in collector.metrics["counted"].sum.data_points] == [1]


async def test_an_exemplar_is_told_once_with_the_trace_it_leads_to() -> None:
    sampled, dropped = (SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(flags)) for flags in (1, 0))
    async with Collector() as collector:
        with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **OFTEN):
            metrics = Metrics()
        metrics.partials.add(1, {"recognizer": GOOGLE})
        metrics.final.record(1.19, sampled, (GOOGLE,))
        metrics.final.record(0.19, dropped, (GOOGLE,))
        await until(lambda: collector.exemplars)
        metrics.final.record(1.3, sampled, (GOOGLE,))
        await until(lambda: len(collector.exemplars) > 1)
        await metrics.aclose()

    assert [(name, told.as_double) for name, told in collector.exemplars] == [
        ("batkol.final.latency", 1.19),
        ("batkol.final.latency", 1.3),
    ]
    first = collector.exemplars[0][1]
    assert (int.from_bytes(first.trace_id), int.from_bytes(first.span_id)) == (7, 9)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_METRICS_EXPORTER": "prometheus"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_SDK_DISABLED": "true"},
    ],
)
async def test_nothing_is_sent_that_was_not_asked_for(variables: dict[str, str]) -> None:
    async with Collector() as collector:
        with environment(**{name: said.format(collector.endpoint) for name, said in variables.items()}):
            metrics = Metrics()
        metrics.finals.add(1, {"source": "final"})
        await metrics.aclose()

        assert collector.metrics == {}


async def test_a_collector_that_refuses_is_said_once_and_so_is_its_return() -> None:
    async with Collector() as collector:
        collector.refuse = grpc.StatusCode.UNIMPLEMENTED
        with capture_logs() as lines, environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **OFTEN):
            metrics = Metrics()
            metrics.finals.add(1, {"source": "final"})
            await until(lambda: lines)
            collector.refuse = None
            await until(lambda: len(lines) > 1)
            await metrics.aclose()

    assert [line["event"].partition(";")[0] for line in lines] == [
        "[OTEL] collector does not take metrics",
        "[OTEL] collector takes metrics again",
    ]


async def test_closing_does_not_wait_for_a_collector_that_never_answers() -> None:
    async with Collector() as collector:
        collector.delay_s = 600
        with (
            capture_logs(),
            environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="1"),
        ):
            metrics = Metrics()
            metrics.finals.add(1, {"source": "final"})
            await metrics.aclose()

    assert collector.metrics == {}


def test_an_exporter_that_is_not_there_costs_what_it_would_have_sent_and_not_the_metrics() -> None:
    with environment(OTEL_METRICS_EXPORTER="carrier-pigeon"):
        metrics = Metrics()
    metrics.finals.add(1, {"source": "final"})

    assert metrics.standing.state == "failed"
    assert "OTEL_METRICS_EXPORTER" in metrics.standing.failed["carrier-pigeon"]
    assert b"batkol_finals" in metrics.render()


async def test_an_exporter_that_raises_is_told_of_once_without_what_it_says() -> None:
    with capture_logs() as lines, environment(OTEL_METRICS_EXPORTER="console", OTEL_METRIC_EXPORT_INTERVAL="20"):
        metrics = Metrics()
        (reader,) = metrics._pushing.values()
        seen: list[int] = []

        def refuse(*_: object, **__: object) -> None:
            seen.append(1)
            raise ValueError("authorization: Zq7")

        reader.outgoing._exporter.export = refuse  # type: ignore[method-assign, assignment]
        metrics.finals.add(1, {"source": "final"})
        await until(lambda: len(seen) > 2)
        assert not metrics.standing.delivering
        await metrics.aclose()

    (line,) = lines
    assert line["err"] == "ValueError"
    assert "Zq7" not in str(line)
