"""The tracing of this process: OpenTelemetry's own variables decide whether and where spans go.

OTEL_EXPORTER_OTLP_ENDPOINT turns tracing on; without it, and with OTEL_SDK_DISABLED=true or OTEL_TRACES_EXPORTER=none,
there is no tracer, and no log line about that. OTEL_EXPORTER_OTLP_* (headers, TLS, compression, time-out),
OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME, OTEL_SPAN_* and OTEL_BSP_* mean what they mean
everywhere; what cannot work costs the traces, and never a call (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NoOpTracerProvider, Span

from batkol import __version__
from batkol.events.identity import Identity
from batkol.live.tuning import Tuning
from batkol.supervision.threads import Revivable
from batkol.telemetry import names
from batkol.telemetry.encoding import GrpcSpanExporter, HttpSpanExporter
from batkol.telemetry.resource import resource
from batkol.telemetry.signal_state import SignalState
from batkol.telemetry.span_queue import SpanQueue, SpanQueueLimits
from batkol.telemetry.span_writer import SpanWriter
from batkol.tracing.call import CallTrace
from batkol.tracing.facts import CallFacts
from batkol.tracing.peer import Peer
from batkol.tracing.propagation import NoPropagator, RemoteParent
from batkol_otel import exporters as named

FLUSH_S: Final = 5.0
"""Seconds that the last spans may take at shutdown."""

EVENTS: Final = 512
"""Events a span may hold: an utterance of 55 s has 300 partials, and the SDK's 128 would lose its beginning."""

log = structlog.get_logger()

_OWN_EXPORTERS: Final[Mapping[str, Callable[..., SpanExporter]]] = {
    named.GRPC: GrpcSpanExporter,
    named.HTTP: HttpSpanExporter,
}
_UNTRACED: Final = "/healthz$,/readyz$,/metrics$"
_SCOPE: Final = "batkol"
_REDACTED: Final = "REDACTED"


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """The service's settings in the spans. `google` is `host:port`; the last two are by the names in the settings."""

    google: str = ""
    flags_provider: str = ""
    pod: str = ""
    transcripts: bool = False
    answerers: Mapping[str, Peer] = field(default_factory=dict)
    voices: Mapping[str, Peer] = field(default_factory=dict)


class Tracing:
    """One per process. Made without exporters, it traces nothing and costs nothing."""

    def __init__(self, settings: TracingSettings | None = None, exporters: Sequence[SpanExporter] = ()) -> None:
        self._settings = settings or TracingSettings()
        self._apps: list[FastAPI] = []
        self._queue: SpanQueue | None = None
        self._provider: TracerProvider | None = None
        self._writer: SpanWriter | None = None
        self._named: Sequence[str] = ()
        self._failed: dict[str, str] = {}
        if exporters:
            limits = SpanLimits(max_events=None if "OTEL_SPAN_EVENT_COUNT_LIMIT" in os.environ else EVENTS)
            own_resource = resource(self._settings.pod)
            self._provider = TracerProvider(resource=own_resource, shutdown_on_exit=False, span_limits=limits)
            self._queue = SpanQueue(exporters, SpanQueueLimits.from_environment())
            self._provider.add_span_processor(self._queue)
            scope = InstrumentationScope(_SCOPE, __version__)
            self._writer = SpanWriter(self._queue, self._provider.sampler, own_resource, scope, limits)
        self.tracer = (self._provider or NoOpTracerProvider()).get_tracer(_SCOPE, __version__)
        self._server = _address(self._settings.google)
        self._answerers = {name: peer.attributes for name, peer in self._settings.answerers.items()}
        self._voices = {name: peer.attributes for name, peer in self._settings.voices.items()}

    @classmethod
    def start(cls, settings: TracingSettings, exporters: Sequence[SpanExporter] = ()) -> Tracing:
        """Start the tracing of the environment, with `exporters` beside its own; faults are in `standing`."""
        if named.disabled():
            return cls(settings)
        found = named.exporters("traces", _OWN_EXPORTERS)
        failed = dict(found.failed)
        try:
            made = cls(settings, [*exporters, *found.made.values()])
            made._named = tuple(found.made)
        except Exception as error:  # noqa: BLE001  the rim: whatever the SDK makes of the variables
            made = cls(settings)
            failed["sdk"] = f"the SDK cannot trace with these OTEL_* variables ({type(error).__name__})"
        made._failed = failed
        return made

    @property
    def standing(self) -> SignalState:
        """The exporters of the spans, and the state of each."""
        return SignalState(self._named, self._failed, self._queue is None or self._queue.delivering)

    @property
    def enabled(self) -> bool:
        """Whether spans go anywhere."""
        return self._provider is not None

    @property
    def thread(self) -> Revivable | None:
        """The threads that send spans; empty without a collector."""
        return self._queue

    @property
    def dropped(self) -> int:
        """Spans that were made and that no collector got."""
        return 0 if self._queue is None else self._queue.dropped

    def call(
        self,
        identity: Identity,
        *,
        since: Callable[[int], float],
        tuning: Callable[[], Tuning],
        model: Callable[[], str],
        caller: RemoteParent | None = None,
    ) -> CallTrace:
        """Begin the traces of a call, on the event loop. `since(sample)`: how many seconds ago it was spoken."""
        facts = CallFacts(
            identity=identity,
            tuning=tuning,
            model=model,
            server=self._server,
            flags_provider=self._settings.flags_provider,
            transcripts=self._settings.transcripts,
            answerers=self._answerers,
            voices=self._voices,
        )
        origin = caller if caller is not None and self.enabled else RemoteParent()
        return CallTrace(facts, tracer=self.tracer, writer=self._writer, since=since, caller=origin)

    def instrument(self, app: FastAPI) -> None:
        """Have each request of `app` make one span, probes excepted; call it before the first request.

        A WebSocket's messages make none: 24,000 in 12 s were counted for 40 calls, had they not been left out. No
        header of a request is a parent: with one, an outsider chooses what is sampled, and in which trace.
        """
        if self._provider is None:
            return
        try:
            self._instrument(app)
        except Exception as error:  # noqa: BLE001  the rim: whatever the instrumentation makes of the variables
            self._failed["requests"] = f"requests have no spans: their instrumentation failed ({type(error).__name__})"

    def _instrument(self, app: FastAPI) -> None:
        set_global_textmap(NoPropagator())  # the instrumentation has no other interface for this
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")  # the stable names of HTTP attributes
        asked = os.environ.get("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "")
        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self._provider,
            meter_provider=NoOpMeterProvider(),
            excluded_urls=f"{_UNTRACED},{asked}" if asked else _UNTRACED,
            exclude_spans=["receive", "send"],
            server_request_hook=_redact,
        )
        self._apps.append(app)

    async def flush(self, within_s: float = FLUSH_S) -> bool:
        """Send what waits; false if that was not done in time. Cancelling it stops the waiting."""
        if self._queue is None:
            return True
        return await asyncio.to_thread(self._queue.force_flush, round(within_s * 1000))

    async def close(self, within_s: float = FLUSH_S) -> None:
        """Send what waits, for at most that long, and stop. Cancelled, a thread finishes it all the same."""
        for app in self._apps:
            FastAPIInstrumentor.uninstrument_app(app)
        if self._queue is not None:
            await asyncio.to_thread(self._queue.close, within_s)


def _address(google: str) -> dict[str, Any]:
    host, _, port = google.rpartition(":")
    found: dict[str, Any] = {names.RPC_SYSTEM: names.GRPC, names.RPC_METHOD: names.STREAMING_RECOGNIZE}
    found |= {names.PROVIDER: names.GOOGLE, names.SERVER_ADDRESS: host or google}
    if port.isdecimal() and host:
        found[names.SERVER_PORT] = int(port)
    return found


def _redact(span: Span, scope: Mapping[str, Any]) -> None:
    """A query may hold anything, a caller's number for one."""
    if scope.get("query_string") and span.is_recording():
        span.set_attribute("url.query", _REDACTED)
        present = getattr(span, "attributes", None) or {}
        for name in ("http.url", "http.target", "url.full"):
            if name in present:
                span.set_attribute(name, scope["path"])
