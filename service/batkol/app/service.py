"""A running service, as its parts and what they say of themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from batkol import __version__
from batkol.calls.drain import Drain
from batkol.calls.registry import CallRegistry
from batkol.events.bus import Bus
from batkol.flags.flags import Flags
from batkol.live.config import Live
from batkol.recognizers.google.channels import Channels
from batkol.settings import Settings
from batkol.store.store import NoStore, Store
from batkol.supervision.tasks import Tasks
from batkol.telemetry.logs import LogWriter
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.process import process
from batkol.tracing.tracing import Tracing
from batkol.transcription.health import Health
from batkol.transcription.recognizers import Recognizers
from batkol.vad.scheduler import VadScheduler


@dataclass(slots=True)
class Service:
    """A running service: the ports it is bound to, and what is inside."""

    settings: Settings
    calls: CallRegistry
    drain: Drain
    bus: Bus
    live: Live
    flags: Flags
    listener: VadScheduler
    recognizers: Recognizers
    health: Health
    metrics: Metrics
    tracing: Tracing
    store: Store | NoStore
    tasks: Tasks
    logs: LogWriter | None = None
    """None: the process's logging is not ours."""
    port: int = 0
    internal_port: int = 0
    started_at: float = 0.0
    otel_ignored: Mapping[str, str] = field(default_factory=dict)
    """OTEL_* variables that are not taken as they are given, and why."""

    @property
    def channels(self) -> Channels:
        """The connections to Google."""
        return self.recognizers.speech.channels

    @property
    def lines_lost(self) -> int:
        """Log lines that stderr did not take, since the start."""
        return 0 if self.logs is None else self.logs.dropped

    def status(self) -> dict[str, Any]:
        """What `GET /v1/status` answers."""
        settings, live = self.settings, self.live
        return {
            "version": __version__,
            "voice_agent": settings.voice_agent,
            "pod": settings.pod_name,
            "uptime_s": round(time.monotonic() - self.started_at, 1),
            "draining": self.calls.draining,
            "drain": self.drain.status(),
            "active_calls": self.calls.active,
            "ending_calls": self.calls.ending,
            "max_calls": self.calls.limit,
            "tuning": {
                **msgspec.structs.asdict(live.tuning),
                "applied_at": live.status().applied_at,
            },
            "live": msgspec.to_builtins(live.status()),
            "flags": msgspec.to_builtins(self.flags.status()),
            "recognizer": {
                "endpoint": settings.gcp_stt_endpoint or "google",
                "language": settings.gcp_stt_language,
                "model": self.recognizers.speech.config.model,
                "streams": self.channels.streams,
                "requests": self.channels.requests,
                "limit": self.channels.limit,
                "connections": self.channels.connections,
                "health": self.health.status(),
            },
            "store": self.store.status(),
            "tasks": self.tasks.status(),
            "telemetry": {
                "traces": self.tracing.standing.status(),
                "metrics": self.metrics.standing.status(),
                "ignored": dict(self.otel_ignored),
            },
            "process": process(),
            "vad": asdict(self.listener.status()),
            "event_loop": {"lag_ms_max_60s": round(self.calls.loop_lag() * 1000)},
            "logs": {"lines_lost": self.lines_lost},
            "subscribers": self.bus.subscribers,
            "events": {"partials_dropped": self.bus.dropped, "subscribers_let_go": self.bus.let_go},
        }

    def why_not_ready(self) -> str | None:
        """The reason why this pod should get no new call, or None."""
        return "draining" if self.calls.draining else self.tasks.why_deaf() or self.health.why_not_ready()

    def why_not_alive(self) -> str | None:
        """The reason why this process should be replaced, or None: it hears nothing, and no call is left to lose.

        A store that does not write is no reason: a restart would not bring the database back. Nor is a loop that stands
        still: then nobody answers here, which the kubelet takes for a failure as well.
        """
        return None if len(self.calls) else self.tasks.why_deaf()

    async def drain_calls(self) -> None:
        """Drain: no new call, the live ones to their end or the time limit, each last utterance delivered."""
        await self.drain.run()
