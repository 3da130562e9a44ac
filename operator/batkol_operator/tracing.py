"""Traces of the passes that did something. Exporters by OpenTelemetry's own variables, none without them.

A pass that only looked leaves no span: a thousand agents are looked at every few seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Final, TypeAlias

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer, set_span_in_context
from opentelemetry.trace.status import Status, StatusCode

from batkol_operator.errors import ConfigurationError

_PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}

Attributes: TypeAlias = dict[str, str | int]


def tracer_provider(pod: str) -> TracerProvider:
    """Make the provider that the environment asks for; shut it down at the end. Raises `ConfigurationError`."""
    ours: dict[str, Any] = {"service.name": "batkol-operator"}
    if pod:
        ours |= {"service.instance.id": pod, "k8s.pod.name": pod}
    given = OTELResourceDetector().detect().attributes
    provider = TracerProvider(resource=Resource.create({**ours, **given}), shutdown_on_exit=False)
    for exporter in _exporters():
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporters() -> list[Any]:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or ("otlp" if endpoint else "none")
    return [_exporter(name) for name in (part.strip() for part in named.split(",")) if name not in ("", "none")]


def _exporter(name: str) -> Any:
    entry = name
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        entry = _PROTOCOLS.get((protocol or "grpc").strip(), "")
    found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=entry)), None)
    if found is None:
        raise ConfigurationError(
            f"The trace exporter {entry or name!r} is not installed; for OTLP set OTEL_EXPORTER_OTLP_PROTOCOL=grpc. "
            "OTEL_TRACES_EXPORTER=none goes without."
        )
    return found.load()()


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
        """Take the time of one step; what it raises is noted and goes on."""
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
        """Whether nothing has been done so far."""
        return not self._steps

    def write(self, result: str) -> None:
        """Write the spans. `result` is how the pass ended."""
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
