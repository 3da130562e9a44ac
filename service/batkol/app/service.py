"""A running service: its parts and their status."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from batkol import __version__
from batkol.app.agent_settings import calls_using
from batkol.app.speakers import chosen, flag_context
from batkol.app.upstreams import Upstreams
from batkol.calls.continuation import Continuations
from batkol.calls.drain import HANDOVER_S, Drain
from batkol.calls.heartbeat import Heartbeat
from batkol.calls.registry import CallRegistry
from batkol.calls.telephone import Telephone
from batkol.conversation.agent import Agent
from batkol.events.bus import Bus
from batkol.flags.flags import Flags
from batkol.fleet.ends import PeerEnds
from batkol.fleet.fleet import Fleet
from batkol.live.config import Live
from batkol.plugins.plugins import Plugins
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.streaming import GoogleRecognizer
from batkol.settings import Settings
from batkol.sinks.sinks import Sinks
from batkol.status import AgentStatus, EventLoopStatus, LogsStatus, RecognizerStatus, ServiceStatus, TelemetryStatus
from batkol.store.store import NoStore, Store
from batkol.supervision.tasks import Tasks
from batkol.telemetry.logs import LogWriter
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.process import process
from batkol.tracing.tracing import Tracing
from batkol.transcription.health import Health
from batkol.transcription.recognizers import Recognizers
from batkol.twilio_api.client import TwilioApi
from batkol.vad.scheduler import VadScheduler

log = structlog.get_logger()


@dataclass(slots=True)
class Service:
    """A running service: the ports it is bound to, and what is inside."""

    settings: Settings
    calls: CallRegistry
    heartbeat: Heartbeat
    drain: Drain
    bus: Bus
    live: Live
    flags: Flags
    vad: VadScheduler
    recognizers: Recognizers
    google: GoogleRecognizer
    health: Health
    metrics: Metrics
    tracing: Tracing
    store: Store | NoStore
    tasks: Tasks
    keys: tuple[str, ...] = field(repr=False)
    """The auth tokens, or a random one: pods of one agent know each other, and their TwiML, by them."""
    continuations: Continuations
    fleet: Fleet = field(init=False)
    """Made for this service, whose address and events it knows."""
    peer_ends: PeerEnds | None = None
    """The other pods, which get the news of ends of calls; None where none are named."""
    agent: Agent | None = None
    upstreams: Upstreams = field(default_factory=Upstreams)
    telephone: Telephone = field(default_factory=Telephone)
    twilio_api: TwilioApi | None = None
    """None while no stream makes the service ask Twilio."""
    logs: LogWriter | None = None
    """None if another party configures the process's logging."""
    plugins: Plugins = field(default_factory=Plugins)
    sinks: Sinks = field(default_factory=Sinks)
    port: int = 0
    internal_port: int = 0
    started_at: float = field(default_factory=time.monotonic)
    otel_ignored: Mapping[str, str] = field(default_factory=dict)
    """OTEL_* variables that are not taken as they are given, and why."""

    @property
    def channels(self) -> Channels:
        """The connections to Google."""
        return self.google.channels

    @property
    def lines_lost(self) -> int:
        """Log lines that stderr did not take, since the start."""
        return 0 if self.logs is None else self.logs.dropped

    def status(self) -> ServiceStatus:
        """Return the answer to `GET /v1/status`."""
        calls, settings = self.calls, self.settings
        return ServiceStatus(
            version=__version__,
            voice_agent=settings.voice_agent,
            pod=settings.pod_name,
            uptime_s=round(time.monotonic() - self.started_at, 1),
            draining=calls.draining,
            drain=self.drain.status(),
            active_calls=calls.active,
            ending_calls=calls.ending,
            max_calls=calls.limit,
            tuning=self.live.tuning_status(),
            agent=AgentStatus(
                replies=settings.agent_replies,
                answerer=settings.answerer if settings.agent_replies else "",
                voice=settings.voice,
                greeting=bool(self.live.reply.phrase_texts().get("greeting", settings.greeting)),
                answerers={name: server.status for name, server in self.upstreams.answerers.items()},
                voices={name: server.status for name, server in self.upstreams.voices.items()},
            ),
            twilio_api=self.upstreams.twilio,
            reply=self.live.reply_status(calls_using(calls, self.live.reply.name)),
            live=self.live.status(),
            flags=self.flags.status(),
            recognizer=self._recognizer_status(),
            store=self.store.status(),
            sinks=self.sinks.status(),
            tasks=self.tasks.status(),
            telemetry=self._telemetry_status(),
            process=process(),
            vad=self.vad.status(),
            rehearsals=True,
            event_loop=EventLoopStatus(lag_ms_max_60s=round(self.heartbeat.loop_lag() * 1000)),
            logs=LogsStatus(lines_lost=self.lines_lost),
            subscribers=self.bus.subscribers,
            events=self.bus.status(),
            plugins=self.plugins.status(),
        )

    def _recognizer_status(self) -> RecognizerStatus:
        settings, channels = self.settings, self.channels
        return RecognizerStatus(
            endpoint=settings.gcp_stt_endpoint or "google",
            language=settings.gcp_stt_language,
            model=self.google.model,
            streams=channels.streams,
            requests=channels.requests,
            limit=channels.limit,
            connections=channels.connections,
            check=self.health.check_status(),
            order=tuple(step.name for step in self.recognizers.streaming),
            streaming=self.health.recognizer_status(),
            health=self.health.status(),
        )

    def _telemetry_status(self) -> TelemetryStatus:
        return TelemetryStatus(
            traces=self.tracing.standing.status(),
            metrics=self.metrics.standing.status(),
            ignored=self.otel_ignored,
        )

    def agent_answers(self, call_sid: str) -> bool:
        """Whether the agent would answer the caller in a turn that began now."""
        if chosen(self.calls, call_sid).answerer:
            return True
        return self.flags.replies(flag_context(self.settings, self.calls, call_sid)).value

    def why_not_ready(self) -> str | None:
        """The reason why this pod should get no new call, or None."""
        return "draining" if self.calls.draining else self.tasks.why_not_ready() or self.health.why_not_ready()

    def degraded(self) -> str | None:
        """Return what a ready pod does without, or None: steps of recognition, refused answerers and voices."""
        return ", ".join(filter(None, (self.health.degraded(), *self.upstreams.refused()))) or None

    def why_not_alive(self) -> str | None:
        """The reason why this process should be replaced, or None: it recognizes nothing, and no call is left to lose.

        A store that does not write is no reason: a restart would not bring the database back. Nor is an event loop
        that stands still: then nothing answers here, which the kubelet takes for a failure as well.
        """
        return None if len(self.calls) else self.tasks.why_not_ready()

    async def drain_calls(self) -> None:
        """Drain: no new call, the live ones to their end or the time limit, each last utterance delivered."""
        await self.drain.run()

    async def answer_peers(self) -> None:
        """Stay for the pods that have the next streams of the calls that were moved. Cancelling it loses nothing else.

        Returns at once where no call was moved, or there is no other pod.
        """
        left_s = self.continuations.own.moved_at + HANDOVER_S - asyncio.get_running_loop().time()
        if left_s > 0 and self.settings.fleet_peers:
            log.info("[DRAIN] pod stays for the pods that have its calls now", seconds=round(left_s, 1))
            await asyncio.sleep(left_s)
