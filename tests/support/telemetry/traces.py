"""The whole service with a real OTLP/gRPC collector behind it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from batkol.simulators.client.otlp_collector import Collector, SpanReceived
from batkol.tracing.tracing import Tracing, TracingSettings
from support.service.stack import Stack, stack

STREAM = "google.cloud.speech.v1p1beta1.Speech/StreamingRecognize"


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables, and none of OpenTelemetry's beside them."""
    with pytest.MonkeyPatch.context() as patch:
        import os

        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@asynccontextmanager
async def traced(folder: Path, variables: dict[str, str] | None = None, **given: Any) -> AsyncIterator[Traced]:
    """Bring everything up with a collector; the spans are all there once it is left."""
    async with Collector() as collector:
        with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **(variables or {})):
            async with stack(folder, **{"stt_final_timeout_ms": 5000, **given}) as up:  # however busy the machine is
                yield Traced(up, collector)


class Traced:
    """A stack and the collector behind it."""

    def __init__(self, up: Stack, collector: Collector) -> None:
        self.up = up
        self.collector = collector

    def utterances(self, call_sid: str) -> list[SpanReceived]:
        """Return the roots of a call's utterances, in order."""
        return [span for span in self.collector.named("utterance") if span.attributes["batkol.call.sid"] == call_sid]

    def under(self, root: SpanReceived) -> dict[str, SpanReceived]:
        """Return what is under a root by name: the model left out, a name once."""
        children = [span for span in self.collector.trace(root.trace_id) if span.parent_id]
        assert all(child.parent_id == root.span_id for child in children)
        names = [child.name.partition(" ")[0] for child in children]
        assert len(set(names)) == len(names), names
        return dict(zip(names, children, strict=True))

    def call(self, call_sid: str) -> SpanReceived:
        (span,) = [span for span in self.collector.named("call") if span.attributes["batkol.call.sid"] == call_sid]
        return span

    def streams(self, call_sid: str) -> list[SpanReceived]:
        return [span for span in self.collector.named(STREAM) if span.attributes["batkol.call.sid"] == call_sid]


@asynccontextmanager
async def tracing(collector: Collector, **settings: Any) -> AsyncIterator[Tracing]:
    """Only the tracing, with an exporter of its own."""
    with environment():
        exporter = OTLPSpanExporter(endpoint=collector.endpoint, insecure=True)
        made = Tracing(TracingSettings(google="speech.example:443", flags_provider="live", **settings), [exporter])
        try:
            yield made
        finally:
            await made.close()


def wall(monotonic: float) -> float:
    """Return the wall time, in seconds, of a moment of the double's clock."""
    return monotonic + time.time() - time.monotonic()


def everything_said(spans: Sequence[SpanReceived]) -> str:
    """Return every name, attribute, event and status as one text."""
    return "\n".join(str(span) for span in spans)
