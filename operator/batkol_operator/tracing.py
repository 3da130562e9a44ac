"""Traces of the passes that made requests. OpenTelemetry's own variables set the exporters; without them none exist.

Variables that cannot work cost the traces only: the operator starts, and logs one line. A pass without a request makes
no span: a thousand agents have a pass every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import structlog
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Tracer, set_span_in_context
from opentelemetry.trace.status import Status, StatusCode

from batkol_otel.exporters import exporters

log = structlog.get_logger()

FLUSH_S: Final = 3.0
"""Seconds that the last spans may take at shutdown."""

Attributes: TypeAlias = dict[str, str | int]


def tracer_provider(pod: str, ignored: Mapping[str, str], *, flush_s: float = FLUSH_S) -> TracerProvider:
    """Make the provider that the environment configures; the caller shuts it down at the end.

    `ignored`: the variables that `batkol_otel.environment.mend` removed. One error line lists them and all failures.
    `flush_s`: how long its `shutdown` waits for a collector.
    """
    named = exporters("traces")
    failed = dict(named.failed)
    try:
        provider = _provider(pod, [SpanBatches(QuietExporter(made), flush_s) for made in named.made.values()])
    except Exception as error:  # noqa: BLE001  the rim: whatever the SDK makes of the variables
        failed["sdk"] = f"the SDK cannot trace with these OTEL_* variables ({type(error).__name__})"
        provider = TracerProvider(ALWAYS_OFF, Resource.get_empty(), shutdown_on_exit=False)
    if failed or ignored:
        log.error(
            "[OTEL] telemetry does not work as the OTEL_* variables ask; the operator goes on",
            **({"traces": failed} if failed else {}),
            **({"ignored": dict(ignored)} if ignored else {}),
            remedy="correct these variables and restart; docs/observability.md has what each may be",
        )
    return provider


def _provider(pod: str, made: Sequence[SpanBatches]) -> TracerProvider:
    defaults: dict[str, Any] = {"service.name": "batkol-operator"}
    if pod:
        defaults |= {"service.instance.id": pod, "k8s.pod.name": pod}
    given = OTELResourceDetector().detect().attributes
    provider = TracerProvider(resource=Resource.create({**defaults, **given}), shutdown_on_exit=False)
    for batches in made:
        provider.add_span_processor(batches)
    return provider


class SpanBatches(BatchSpanProcessor):
    """The SDK's batches, which wait 30 s at the end for a collector that does not answer."""

    def __init__(self, exporter: SpanExporter, flush_s: float) -> None:
        super().__init__(exporter)
        self._outgoing = exporter
        self._flush_s = flush_s

    def shutdown(self) -> None:
        """Send what waits; after `flush_s` seconds, shut the exporter down, which ends an export that hangs."""
        timer = threading.Timer(self._flush_s, self._outgoing.shutdown)
        timer.daemon = True
        timer.start()
        try:
            super().shutdown()  # type: ignore[no-untyped-call]  # the SDK's has no types
        finally:
            timer.cancel()


class QuietExporter(SpanExporter):
    """Passes spans to `exporter`; logs once that the collector rejects them, and once that it accepts them again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._delivering = True
        self._ended = threading.Lock()  # taken by the first shutdown, and never released

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans, on the processor's thread; blocks for at most the exporter's time-out."""
        raised = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001  the rim: the SDK would print it, and it may quote a header
            result, raised = SpanExportResult.FAILURE, type(error).__name__
        accepted = result is SpanExportResult.SUCCESS
        if accepted and not self._delivering:
            log.info("[OTEL] collector takes spans again")
        elif not accepted and self._delivering:
            log.warning(
                "[OTEL] collector does not take spans; they are dropped, and the operator continues",
                err=raised,
                remedy="check OTEL_EXPORTER_OTLP_ENDPOINT and _PROTOCOL; 4317 is usually grpc, 4318 http/protobuf",
            )
        self._delivering = accepted
        return result

    def shutdown(self) -> None:
        """End an export that is under way. From the second time on it does nothing."""
        if not self._ended.acquire(blocking=False):
            return
        try:
            self._exporter.shutdown()
        except Exception as error:  # noqa: BLE001  the rim: an exporter may be another vendor's
            log.warning("[OTEL] an exporter of spans did not shut down", err=type(error).__name__)


@dataclass(slots=True)
class _Step:
    name: str
    attributes: Attributes
    started: int  # ns since the epoch
    ended: int = 0
    error: str = ""


@dataclass(slots=True)
class PassTrace:
    """The steps of one pass, written as spans at its end if there were any."""

    tracer: Tracer
    attributes: Attributes
    _started: int = field(default_factory=time.time_ns)
    _steps: list[_Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, /, **attributes: str | int) -> Iterator[None]:
        """Measure one step; record and re-raise its error."""
        step = _Step(name, attributes, time.time_ns())
        self._steps.append(step)
        try:
            yield
        except BaseException as error:
            step.error = type(error).__name__  # the type alone: an API server's sentence may quote the object
            raise
        finally:
            step.ended = time.time_ns()

    @property
    def idle(self) -> bool:
        """Whether the pass has had no step so far."""
        return not self._steps

    def write(self, result: str) -> None:
        """Write the spans. `result`: the pass's result."""
        if not self._steps:
            return
        root = self.tracer.start_span(
            "reconcile", attributes={**self.attributes, "result": result}, start_time=self._started
        )
        within = set_span_in_context(root)
        for step in self._steps:
            span = self.tracer.start_span(step.name, within, attributes=step.attributes, start_time=step.started)
            if step.error:
                span.set_status(Status(StatusCode.ERROR, step.error))
            span.end(step.ended)
        if any(step.error for step in self._steps):
            root.set_status(Status(StatusCode.ERROR))
        root.end()
