"""The queue of ended spans, with exporters that are slow, refuse, raise or never return."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import Tracer
from structlog.testing import capture_logs

from batkol.telemetry.span_queue import SpanQueue, SpanQueueLimits
from support.telemetry.traces import environment

OK, NOT_OK = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


class Scripted(SpanExporter):
    """Does what `act` says with each batch, and keeps what it took."""

    def __init__(self, act: Callable[[], SpanExportResult] = lambda: OK) -> None:
        self.act = act
        self.taken: list[str] = []
        self.batches = 0
        self.over = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches += 1
        result = self.act()
        if result is OK:
            self.taken += [span.name for span in spans]
        return result

    def shutdown(self) -> None:
        self.over.set()


@contextmanager
def queue(exporter: Scripted, sampler: Sampler = ALWAYS_ON, **limits: Any) -> Iterator[tuple[SpanQueue, Tracer]]:
    box = SpanQueue([exporter], SpanQueueLimits(**{"delay_s": 0.01, **limits}))
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(box)
    try:
        yield box, provider.get_tracer("test")
    finally:
        box.close(0.0)


def test_every_span_goes_out_once_and_in_order() -> None:
    exporter = Scripted()
    with queue(exporter, batch=3) as (box, tracer):
        for number in range(10):
            tracer.start_span(str(number)).end()
        box.close(10.0)

    assert exporter.taken == [str(number) for number in range(10)]
    assert exporter.batches >= 4
    assert exporter.over.is_set()
    assert box.dropped == 0


def test_what_there_is_no_room_for_is_dropped_and_counted_and_nobody_waits() -> None:
    release = threading.Event()
    exporter = Scripted(lambda: (release.wait(10), OK)[1])
    with queue(exporter, queue=5, batch=2, delay_s=10) as (box, tracer):
        for number in range(20):
            tracer.start_span(str(number)).end()
        waiting = box.dropped
        release.set()
        box.close(10.0)

    assert 20 - 5 - 2 <= waiting <= 20 - 5
    assert box.dropped == waiting
    assert len(exporter.taken) + waiting == 20


def test_what_the_collector_refuses_is_counted_and_said_once_and_so_is_its_return() -> None:
    answers = [NOT_OK, NOT_OK, OK, OK]
    exporter = Scripted(lambda: answers.pop(0))
    with capture_logs() as lines, queue(exporter, batch=1) as (box, tracer):
        for number in range(4):
            tracer.start_span(str(number)).end()
        assert box.force_flush(10_000)

    assert exporter.taken == ["2", "3"]
    assert box.dropped == 2
    assert [line["event"].partition(";")[0] for line in lines] == [
        "[OTEL] collector does not take spans",
        "[OTEL] collector takes spans again",
    ]


def test_an_exporter_that_raises_loses_its_batch_and_nothing_else() -> None:
    faults = [ValueError("authorization: Zq7"), None]

    def act() -> SpanExportResult:
        if fault := faults.pop(0):
            raise fault
        return OK

    exporter = Scripted(act)
    with capture_logs() as lines, queue(exporter, batch=1) as (box, tracer):
        tracer.start_span("lost").end()
        tracer.start_span("kept").end()
        assert box.force_flush(10_000)

    assert (exporter.taken, box.dropped) == (["kept"], 1)
    assert [line.get("err") for line in lines] == ["ValueError", None]
    assert "Zq7" not in str(lines)


def test_closing_does_not_wait_for_a_collector_that_never_answers() -> None:
    """The export under way is given up, and what waited behind it is counted."""
    exporter = Scripted()
    exporter.act = lambda: (exporter.over.wait(60), NOT_OK)[1]
    with capture_logs() as lines, queue(exporter, batch=2) as (box, tracer):
        for number in range(6):
            tracer.start_span(str(number)).end()
        box.close(0.1)

    assert box.dropped == 6
    assert lines[-1]["event"] == "[OTEL] collector did not take the last spans in time"
    assert not any(thread.name == "spans" for thread in threading.enumerate())


def test_spans_that_were_not_sampled_stay_here_and_are_not_missed() -> None:
    exporter = Scripted()
    with queue(exporter, ALWAYS_OFF) as (box, tracer):
        tracer.start_span("unseen").end()
        assert box.force_flush(10_000)

    assert (exporter.taken, box.dropped) == ([], 0)


def test_a_span_that_ends_after_the_end_is_counted() -> None:
    with queue(Scripted()) as (box, tracer):
        late = tracer.start_span("late")
        box.close(10.0)
        late.end()

        assert box.dropped == 1


@pytest.mark.parametrize("nonsense", ["many", "-1", "0", "1.5"])
def test_a_limit_that_is_no_number_is_said_and_the_default_used(nonsense: str) -> None:
    with capture_logs() as lines, environment(OTEL_BSP_MAX_QUEUE_SIZE=nonsense, OTEL_BSP_SCHEDULE_DELAY="200"):
        limits = SpanQueueLimits.from_environment()

    assert (limits.queue, limits.delay_s) == (2048, 0.2)
    assert [line["variable"] for line in lines] == ["OTEL_BSP_MAX_QUEUE_SIZE"]


def test_of_two_exporters_the_one_that_fails_is_told_of_once_and_does_not_stop_the_closing() -> None:
    good, bad = Scripted(), Scripted(lambda: NOT_OK)

    def refuse() -> None:
        raise ValueError("authorization: Zq7")

    bad.shutdown = refuse  # type: ignore[method-assign]
    with capture_logs() as lines:
        box = SpanQueue([good, bad], SpanQueueLimits(delay_s=0.01, batch=1))
        provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        provider.add_span_processor(box)
        for name in ("1", "2", "3"):
            provider.get_tracer("test").start_span(name).end()
        assert box.force_flush(10_000)
        assert not box.delivering
        box.close(5.0)

    assert good.taken == ["1", "2", "3"]
    assert [line["event"].partition(";")[0] for line in lines] == [
        "[OTEL] collector does not take spans",
        "[OTEL] an exporter of spans did not shut down",
    ]
    assert "Zq7" not in str(lines)
