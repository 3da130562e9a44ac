"""The composition root: settings in, a running service out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI
from opentelemetry.sdk.trace.export import SpanExporter
from starlette.routing import WebSocketRoute

from batkol import __version__, gauges
from batkol.audio import vad
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.background import own
from batkol.calls.bus import Bus
from batkol.calls.drain import ENDING_S, Drain
from batkol.calls.listening import Listener
from batkol.calls.registry import Calls
from batkol.calls.services import Services
from batkol.flags.flags import Flags
from batkol.google.channels import GOOGLE_HOST, Channels
from batkol.google.recognizer import SingleRecognizer
from batkol.google.speech import Speech
from batkol.google.wire import recognition
from batkol.health import CHECK_TIMEOUT, Health
from batkol.live.live import Live, source_named
from batkol.live.tuning import Tuning
from batkol.recognition import Recognizer, Recognizers
from batkol.settings import Settings
from batkol.speech.punctuation import punctuate
from batkol.speech.utterance import Source
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.process import process
from batkol.telemetry.tracing import Tracing, TracingSettings
from batkol.twilio.twiml import stream_url
from batkol.web import internal, voice
from batkol.web.media import Gate, MediaSocket
from batkol.web.probes import exposition, probes
from batkol.web.server import listening
from batkol.whisper.http import WhisperServer
from batkol.whisper.local import LocalWhisper

log = structlog.get_logger()


@dataclass(slots=True)
class Service:
    """A running service: the ports it is bound to, and what is inside."""

    settings: Settings
    calls: Calls
    drain: Drain
    bus: Bus
    live: Live
    flags: Flags
    listener: Listener
    channels: Channels
    health: Health
    metrics: Metrics
    tracing: Tracing
    port: int = 0
    internal_port: int = 0
    started_at: float = 0.0

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
            "active_calls": len(self.calls),
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
                "model": settings.gcp_stt_model,
                "streams": self.channels.streams,
                "requests": self.channels.requests,
                "limit": self.channels.limit,
                "connections": self.channels.connections,
                "health": self.health.status(),
            },
            "process": process(),
            "vad": asdict(self.listener.status()),
            "event_loop": {"lag_ms_max_60s": round(self.calls.loop_lag() * 1000)},
            "subscribers": self.bus.subscribers,
            "events": {"partials_dropped": self.bus.dropped, "subscribers_let_go": self.bus.let_go},
        }

    def why_not_ready(self) -> str | None:
        """The reason why this pod should get no new call, or None."""
        return "draining" if self.calls.draining else self.health.why_not_ready()

    async def leave(self) -> None:
        """Drain: no new call, the live ones to their end or the time limit, each last utterance delivered."""
        await self.drain.run()


@asynccontextmanager
async def running(settings: Settings, exporters: Sequence[SpanExporter] = ()) -> AsyncIterator[Service]:
    """Start everything and serve; leaving it ends what is left at once (call `Service.leave` before).

    `exporters` get every span, beside those that the environment names. Raises `ConfigurationError` for what cannot
    work. Must be entered on the loop that runs the calls.
    """
    _say(settings)
    async with AsyncExitStack() as stack:
        metrics = Metrics(settings.pod_name)
        stack.push_async_callback(metrics.aclose)
        tracing = _tracing(settings, exporters)
        stack.push_async_callback(tracing.close)
        live = Live(source_named(settings.live_source), defaults=_tuning(settings))
        await own(stack, live.run(), "live")
        await live.ready()
        flags = await Flags.start(
            provider=settings.flags_provider,
            fallback=settings.enable_streaming_stt,
            live=live,
            counter=metrics,
        )
        stack.push_async_callback(flags.close)
        channels = Channels(
            endpoint=settings.gcp_stt_endpoint, insecure=settings.gcp_stt_insecure, limit=settings.stt_max_streams
        )
        await channels.start()
        stack.push_async_callback(channels.close)
        recognizers = _recognizers(settings, channels, metrics, stack)
        health = _health(settings, recognizers)
        await own(stack, health.run(), "health")
        listener = Listener(await asyncio.to_thread(vad.create, settings.vad))
        stack.push_async_callback(listener.aclose)
        calls = Calls(limit=settings.max_calls, metrics=metrics)
        await own(stack, calls.run(), "calls.heartbeat")
        service = Service(
            settings=settings,
            calls=calls,
            drain=Drain(calls, timeout_s=settings.drain_timeout_s),
            bus=Bus(),
            live=live,
            flags=flags,
            listener=listener,
            channels=channels,
            health=health,
            metrics=metrics,
            tracing=tracing,
            started_at=time.monotonic(),
        )
        public = listening(_public(service, recognizers), settings.host, settings.port)
        internal_ = listening(_internal(service), settings.internal_host, settings.internal_port)
        service.port = await stack.enter_async_context(public)
        service.internal_port = await stack.enter_async_context(internal_)
        stack.callback(service.bus.close)  # after the last event, and before the listeners: what waits is delivered
        stack.push_async_callback(service.drain.close)
        stack.push_async_callback(calls.end_all, "drained", within=ENDING_S)
        log.info("[CFG] listening", port=service.port, internal_port=service.internal_port)
        yield service


def _public(service: Service, recognizers: Recognizers) -> FastAPI:
    """What Twilio reaches."""
    settings, metrics, calls = service.settings, service.metrics, service.calls
    signed = settings.twilio_auth_token if settings.twilio_validate_signatures else ()
    keys = settings.twilio_auth_token or (secrets.token_urlsafe(32),)
    base = settings.public_base_url
    webhooks = voice.VoiceSettings(
        public_base_url=base,
        auth_tokens=signed,
        token_keys=keys,
        token_ttl_s=settings.stream_token_ttl_s,
        agent=settings.voice_agent,
        language=settings.gcp_stt_language,
        overflow_url=settings.overflow_url,
    )
    services = Services(
        bus=service.bus,
        recognizers=recognizers,
        flags=service.flags,
        live=service.live,
        listener=service.listener,
        metrics=metrics,
        language=settings.gcp_stt_language,
        pod=settings.pod_name,
        log_transcripts=settings.log_transcripts,
        tracing=service.tracing,
    )
    gate = Gate(url=stream_url(base) if base else "", auth_tokens=signed, token_keys=keys)
    app = FastAPI(title="Batkol, public", version=__version__, openapi_url=None)
    app.include_router(probes(service.why_not_ready, service.health.degraded))
    app.include_router(voice.routes(webhooks, calls, metrics))
    media = MediaSocket(gate=gate, calls=calls, services=services)
    app.router.routes.append(WebSocketRoute("/twilio/media", endpoint=media))
    service.tracing.instrument(app)
    return app


def _internal(service: Service) -> FastAPI:
    """What only the cluster reaches."""
    calls, metrics = service.calls, service.metrics
    gauges.expose(
        metrics, calls=calls, drain=service.drain, bus=service.bus, live=service.live, tracing=service.tracing
    )
    service.health.expose(metrics, service.channels)
    app = FastAPI(title="Batkol, internal", version=__version__)
    app.include_router(probes(service.why_not_ready, service.health.degraded))
    app.include_router(exposition(metrics))
    token = service.settings.api_token
    app.include_router(
        internal.routes(calls=calls, bus=service.bus, status=service.status, drain=service.drain.run, api_token=token)
    )
    return app


def _tracing(settings: Settings, exporters: Sequence[SpanExporter]) -> Tracing:
    told = TracingSettings(
        google=settings.gcp_stt_endpoint or f"{GOOGLE_HOST}:443",
        flags_provider=settings.flags_provider.value,
        pod=settings.pod_name,
        transcripts=settings.otel_capture_transcripts,
    )
    return Tracing.start(told, exporters)


def _health(settings: Settings, recognizers: Recognizers) -> Health:
    speech = recognizers.speech
    check = SingleRecognizer(speech.channels, speech.config, deadline=CHECK_TIMEOUT)
    return Health(recognizers, check, check_at_start=settings.stt_check_at_start)


def _recognizers(settings: Settings, channels: Channels, metrics: Metrics, stack: AsyncExitStack) -> Recognizers:
    config = recognition(settings.gcp_stt_language, settings.gcp_stt_model)
    fallbacks: list[tuple[Source, Recognizer]] = [(Source.SINGLE, SingleRecognizer(channels, config))]
    whisper = _whisper(settings)
    if whisper is not None:
        stack.push_async_callback(whisper.close)
        fallbacks.append((Source.WHISPER, whisper))
    speech = Speech(
        channels=channels,
        config=config,
        on_written=metrics.written.record,
        on_rotation_failed=metrics.rotation_failed,
        rotate_after=settings.stt_rotate_after_s,
        rotate_by=settings.stt_rotate_by_s,
        replay_limit=int(settings.stt_replay_limit_s * SAMPLE_RATE),
        replay_rate=settings.stt_replay_rate,
    )
    return Recognizers(speech=speech, fallbacks=tuple(fallbacks), punctuate=punctuate)


def _whisper(settings: Settings) -> WhisperServer | LocalWhisper | None:
    language = settings.gcp_stt_language.partition("-")[0].replace("iw", "he")
    if settings.whisper_url:
        return WhisperServer(
            url=settings.whisper_url,
            model=settings.whisper_model or "whisper-1",
            language=language,
            api_key=settings.whisper_api_key,
            timeout=settings.whisper_timeout_s,
        )
    if settings.whisper_model:
        return LocalWhisper(model=settings.whisper_model, language=language)
    return None


def _tuning(settings: Settings) -> Tuning:
    return Tuning(
        batch_ms=settings.stt_batch_ms,
        partial_debounce_ms=settings.stt_partial_debounce_ms,
        final_timeout_ms=settings.stt_final_timeout_ms,
        silence_ms=settings.vad_silence_ms,
        minimum_speech_ms=settings.vad_minimum_speech_ms,
        pre_roll_ms=settings.vad_pre_roll_ms,
    )


def _say(settings: Settings) -> None:
    log.info(f"[CFG] ENABLE_STREAMING_STT={str(settings.enable_streaming_stt).lower()}")
    shown: Mapping[str, Any] = settings.model_dump(
        exclude={"twilio_auth_token", "api_token", "whisper_api_key", "enable_streaming_stt"}
    )
    log.info("[CFG] settings", version=__version__, **shown)
    if not settings.twilio_validate_signatures:
        log.warning("[CFG] TWILIO_VALIDATE_SIGNATURES=false: ANYBODY can open a call on this service; development only")
