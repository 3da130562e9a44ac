"""A thread dies, and a task sees it and starts another one."""

from __future__ import annotations

import io
import json
import queue
import threading
from contextlib import AsyncExitStack
from functools import partial

import pytest
import structlog
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from batkol.supervision.tasks import Tasks
from batkol.supervision.threads import Revivable, Thread, ThreadDiedError, watch
from batkol.supervision.worker import Worker
from batkol.telemetry.logs import Logs
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.span_queue import SpanQueue, SpanQueueLimits
from batkol_otel.exporters import Exporters
from support.process.killing import kill_thread
from support.time.waiting import until


class Listed:
    """A thread that does what it is told by a queue."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[Exception | str | None] = queue.SimpleQueue()
        self.done: list[str] = []
        self.looks = 0
        self.thread = Thread(self._work, "listed")
        self.thread.start()

    def _work(self) -> None:
        while (told := self.told.get()) is not None:
            if isinstance(told, Exception):
                raise told
            self.done.append(told)

    @property
    def fault(self) -> str:
        return self.thread.fault

    @property
    def dead(self) -> bool:
        self.looks += 1
        return not self.thread.alive

    def revive(self) -> None:
        self.thread.start()


async def deaths_of(owner: Revivable, stack: AsyncExitStack) -> Tasks:
    tasks = Tasks()
    await tasks.own(stack, partial(watch, owner), "thread")
    return tasks


async def test_a_thread_that_dies_is_started_again_and_what_it_died_of_is_told() -> None:
    listed = Listed()
    async with AsyncExitStack() as stack:
        tasks = await deaths_of(listed, stack)
        await until(lambda: listed.looks)
        listed.told.put(LookupError("with a secret"))
        listed.told.put("done")  # by the next thread, there being no other
        await until(lambda: listed.done and tasks.status()["thread"].deaths)
        status = tasks.status()["thread"]
    listed.told.put(None)

    assert status.deaths == 1
    fault = status.last_fault or ""
    assert fault.startswith("ThreadDiedError: the thread ended (LookupError in _work (test_threads.py:")


async def test_a_thread_that_is_dead_before_the_first_look_is_started_again_and_counted() -> None:
    listed = Listed()
    listed.told.put(LookupError())
    await until(lambda: not listed.thread.alive)
    async with AsyncExitStack() as stack:
        tasks = await deaths_of(listed, stack)
        listed.told.put("done")
        await until(lambda: listed.done and tasks.status()["thread"].deaths)
        status = tasks.status()["thread"]
    listed.told.put(None)

    assert status.deaths == 1
    assert "LookupError" in (status.last_fault or "")


async def test_the_job_that_a_dead_thread_had_taken_is_raised_where_it_was_asked_for_and_the_next_is_done() -> None:
    """It dies between taking a job and doing it: nothing else would ever answer who waits."""
    worker = Worker("mortal")
    async with AsyncExitStack() as stack:
        tasks = await deaths_of(worker, stack)
        await worker.run(int)
        kill_thread("mortal")  # takes effect when it has taken a job
        with pytest.raises(ThreadDiedError):
            await worker.run(str.upper, "lost")
        assert await worker.run(str.upper, "on") == "ON"
        assert tasks.status()["thread"].deaths == 1
    worker.close()


async def test_a_thread_that_was_not_begun_or_was_closed_is_not_dead() -> None:
    worker = Worker("mortal")
    assert not worker.dead
    await worker.run(int)
    worker.close()
    await until(lambda: not any(thread.name == "mortal" for thread in threading.enumerate()))

    assert not worker.dead


async def test_logs_go_on_after_their_thread_died() -> None:
    out = io.StringIO()
    logs = Logs(level="INFO", json=True, stream=out)
    try:
        async with AsyncExitStack() as stack:
            await deaths_of(logs.writer, stack)
            thread = kill_thread("logs")
            await until(lambda: not thread.is_alive())
            structlog.get_logger().info("afterwards")
            await until(lambda: "afterwards" in out.getvalue())
            await until(lambda: "[TASK] background task died" in out.getvalue())
    finally:
        logs.close()

    assert logs.dropped == 0
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()].count("afterwards") == 1


async def test_spans_go_out_after_their_thread_died() -> None:
    got = InMemorySpanExporter()
    queue = SpanQueue([got], SpanQueueLimits(delay_s=0.01))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    async with AsyncExitStack() as stack:
        await deaths_of(queue, stack)
        thread = kill_thread("spans")
        await until(lambda: not thread.is_alive())
        provider.get_tracer("test").start_span("afterwards").end()
        await until(got.get_finished_spans)
    queue.close(1.0)

    assert queue.dropped == 0


class Collecting(MetricExporter):
    """Counts what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.got = 0

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: object) -> MetricExportResult:
        self.got += 1
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        """Nothing to do."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that one is on purpose
async def test_metrics_are_sent_after_their_thread_died(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting = Collecting()
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    monkeypatch.setattr("batkol.telemetry.metrics.exporters", lambda _: Exporters({"collecting": collecting}))
    metrics = Metrics()
    metrics.partials.add(1)  # nothing is sent of nothing
    (sender,) = metrics.threads
    async with AsyncExitStack() as stack:
        await deaths_of(sender, stack)
        await until(lambda: collecting.got)
        thread = kill_thread("OtelPeriodicExportingMetricReader")
        await until(lambda: not thread.is_alive())
        before = collecting.got
        await until(lambda: collecting.got > before + 1)
    metrics.close()

    assert not sender.dead
