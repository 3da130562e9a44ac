"""The composition root: settings in, a running service out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog
from opentelemetry.sdk.trace.export import SpanExporter

from batkol import __version__
from batkol.app import gauges, http
from batkol.app.agent import AgentParts, agent, peers
from batkol.app.agent_settings import reply_means
from batkol.app.fleet import fleet
from batkol.app.ineffective import ineffective
from batkol.app.listeners import http_listeners
from batkol.app.live_recognizers import follow_recognizers, recognizer_means
from batkol.app.patience import PRODUCTION, Patience
from batkol.app.plugin_lines import lines
from batkol.app.recognizers import call_recognizers, google_channels, google_recognizer, recognizer_health
from batkol.app.service import Service
from batkol.app.sinks import outbox, sinks
from batkol.app.speakers import chosen, flag_context
from batkol.app.summaries import summaries
from batkol.app.twilio import line, telephone, twilio_api
from batkol.calls.continuation import Continuations
from batkol.calls.drain import ENDING_S, Drain
from batkol.calls.handovers import Handovers
from batkol.calls.heartbeat import Heartbeat
from batkol.calls.registry import CallRegistry
from batkol.events.bus import Bus
from batkol.flags.flag import ReplyFallbacks
from batkol.flags.flags import Flags
from batkol.flags.provider import FlagsProvider
from batkol.live.config import Live
from batkol.live.factory import open_source
from batkol.live.tuning import Tuning
from batkol.plugins.plugins import Plugins
from batkol.quantity import quantity
from batkol.recognizers.google.channels import GOOGLE_HOST
from batkol.settings import Settings, shown
from batkol.store.store import NoStore, Store, running_store
from batkol.supervision.garbage import collect_garbage
from batkol.supervision.tasks import Tasks
from batkol.supervision.threads import Revivable, watch
from batkol.telemetry import signal_state
from batkol.telemetry.logs import LogWriter
from batkol.telemetry.metrics import Metrics
from batkol.tracing.tracing import Tracing, TracingSettings
from batkol.vad.factory import create
from batkol.vad.scheduler import VadScheduler
from batkol.voices.factory import VoiceParts
from batkol.voices.google.sessions import Sessions
from batkol.web.server import listening
from batkol_otel.environment import mend

log = structlog.get_logger()


@asynccontextmanager
async def running(
    settings: Settings,
    exporters: Sequence[SpanExporter] = (),
    logs: LogWriter | None = None,
    otel_ignored: Mapping[str, str] | None = None,
    patience: Patience = PRODUCTION,
) -> AsyncIterator[Service]:
    """Start everything and serve; leaving it ends what is left at once (call `Service.leave` before).

    `exporters` get every span, beside those that the environment names; the thread of `logs` is watched.
    `otel_ignored`: the findings of `mend` about the environment before this module was imported. `patience` is other
    than `PRODUCTION` in tests alone. Raises `ConfigurationError` for what cannot work, telemetry excepted. Must be
    entered on the loop that runs the calls.
    """
    _log_settings(settings)
    ignored = {**(otel_ignored or {}), **mend()}
    async with AsyncExitStack() as stack:
        tasks = Tasks()
        tasks.watch_unowned(stack)
        service = await _service(settings, exporters, stack, tasks, patience)
        service.logs, service.otel_ignored = logs, ignored
        service.fleet = fleet(service, patience)
        stack.push_async_callback(service.fleet.aclose)
        follow_recognizers(service)
        await _watch_threads(service, stack)
        await tasks.own(stack, collect_garbage, "garbage")
        await summaries(service, stack, tasks)
        service.sinks = await sinks(service, stack, tasks, patience.sinks)
        service.plugins = await Plugins.start(
            settings.plugins, service.bus, lines(service.calls, service.telephone), tasks, stack
        )
        limited = http_listeners(service)
        public = listening(http.public(service), settings.host, settings.port, limited.public, tasks=tasks)
        internal = listening(
            http.internal(service), settings.internal_host, settings.internal_port, limited.internal, tasks=tasks
        )
        signal_state.log_faults(traces=service.tracing.standing, metrics=service.metrics.standing, ignored=ignored)
        service.port = await stack.enter_async_context(public)
        service.internal_port = await stack.enter_async_context(internal)
        stack.push_async_callback(service.fleet.finish)
        stack.callback(service.bus.close)  # after the last event, and before the listeners: what waits is delivered
        stack.push_async_callback(service.drain.close)
        stack.push_async_callback(service.calls.end_all, "drained", within=ENDING_S)
        log.info("[CFG] listening", port=service.port, internal_port=service.internal_port)
        yield service


async def _service(
    settings: Settings, exporters: Sequence[SpanExporter], stack: AsyncExitStack, tasks: Tasks, patience: Patience
) -> Service:
    """Make all parts, in the order in which they need each other; `stack` ends them in the other."""
    metrics = await stack.enter_async_context(aclosing(Metrics(settings.pod_name)))
    tracing = _tracing(settings, exporters)
    stack.push_async_callback(tracing.close)
    store = await _store(settings, stack, tasks)
    live = await _live(settings, stack, tasks)
    flags = await _flags(settings, live, metrics, stack)
    google = google_recognizer(settings, await google_channels(settings, stack))
    recognizers = call_recognizers(settings, google, metrics, stack, patience, in_force=live.tuning.recognizers)
    await tasks.own(stack, (health := recognizer_health(settings, recognizers, google, patience)).run, "health")
    vad = await _vad(settings, stack, tasks)
    calls = CallRegistry(limit=settings.max_calls)
    heartbeat = Heartbeat(calls, metrics)
    await tasks.own(stack, heartbeat.run, "calls.heartbeat", needed_to_hear=True)
    parts = AgentParts(
        live=live, flags=flags, metrics=metrics, voices=_voices(settings, metrics, stack),
        context_of=partial(flag_context, settings, calls), chosen_of=partial(chosen, calls),
    )  # fmt: skip
    made = await agent(settings, parts, stack, tasks)
    return Service(
        settings=settings,
        keys=settings.twilio_auth_token or (secrets.token_urlsafe(32),),
        continuations=_continuations(settings, calls, store, stack),
        calls=calls,
        heartbeat=heartbeat,
        drain=Drain(calls, timeout_s=settings.drain_timeout_s, pause_s=patience.pause),
        bus=Bus(),
        live=live,
        flags=flags,
        vad=vad,
        recognizers=recognizers,
        google=google,
        health=health,
        metrics=metrics,
        tracing=tracing,
        store=store,
        tasks=tasks,
        agent=made,
        upstreams=(upstreams := parts.upstreams),
        telephone=await telephone(settings, line(made, metrics, patience.line), stack, tasks, upstreams.twilio_calls),
        twilio_api=await twilio_api(settings, stack, tasks, upstreams.twilio_streams, within_s=patience.twilio_api),
    )


def _continuations(
    settings: Settings, calls: CallRegistry, store: Store | NoStore, stack: AsyncExitStack
) -> Continuations:
    made = Continuations(Handovers(calls, settings.voice_agent), store, settings.voice_agent)
    stack.push_async_callback(made.aclose)
    return made


async def _live(settings: Settings, stack: AsyncExitStack, tasks: Tasks) -> Live:
    source = open_source(settings.live_source, start_from=settings.live_start_from, namespace=settings.pod_namespace)
    live = Live(source, defaults=_tuning(settings), means=reply_means(settings), recognizers=recognizer_means(settings))
    await tasks.own(stack, live.run, "live", may_return=source is None)
    await live.ready()
    return live


async def _flags(settings: Settings, live: Live, metrics: Metrics, stack: AsyncExitStack) -> Flags:
    flags = await Flags.start(
        provider=settings.flags_provider,
        fallback=settings.enable_streaming_stt,
        replies=ReplyFallbacks(replies=settings.agent_replies),
        recognizers=lambda: live.tuning.recognizers,
        live=live,
        counter=metrics,
    )
    stack.push_async_callback(flags.close)
    return flags


async def _vad(settings: Settings, stack: AsyncExitStack, tasks: Tasks) -> VadScheduler:
    vad = VadScheduler(await asyncio.to_thread(create, settings.vad), tasks=tasks)
    stack.push_async_callback(vad.aclose)
    return vad


async def _watch_threads(service: Service, stack: AsyncExitStack) -> None:
    """Have the threads that outlive a call started again when they die, as tasks are."""
    tasks = service.tasks
    await tasks.own(stack, partial(watch, service.vad.thread), "thread.vad", needed_to_hear=True)
    others: dict[str, Revivable | None]
    others = {"thread.logs": service.logs, "thread.spans": service.tracing.thread, "thread.flagd": service.flags.thread}
    for number, sender in enumerate(service.metrics.threads, 1):
        others[f"thread.metrics.{number}"] = sender
    for name, owner in others.items():
        if owner is not None:
            await tasks.own(stack, partial(watch, owner), name)


async def _store(settings: Settings, stack: AsyncExitStack, tasks: Tasks) -> Store | NoStore:
    """Begun early, so that it ends late: after the last call."""
    if not settings.keeps_calls:
        return NoStore()
    kept = replace(settings.of_store(settings.pod_name), outbox=outbox(settings))
    return await stack.enter_async_context(running_store(kept, tasks))


def _voices(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> VoiceParts:
    sessions = Sessions(
        endpoint=settings.gcp_tts_endpoint, insecure=settings.gcp_tts_insecure, limit=settings.gcp_tts_max_sessions
    )
    stack.push_async_callback(sessions.close)
    gauges.expose_voices(metrics, sessions)
    return VoiceParts(language=settings.gcp_stt_language, google=sessions, counts=metrics.voices)


def _tracing(settings: Settings, exporters: Sequence[SpanExporter]) -> Tracing:
    answerers, voices = peers(settings)
    traced = TracingSettings(
        google=settings.gcp_stt_endpoint or f"{GOOGLE_HOST}:443",
        flags_provider=settings.flags_provider.value,
        pod=settings.pod_name,
        transcripts=settings.otel_capture_transcripts,
        answerers=answerers,
        voices=voices,
    )
    return Tracing.start(traced, exporters)


def _tuning(settings: Settings) -> Tuning:
    return Tuning(
        batch_ms=settings.stt_batch_ms,
        partial_debounce_ms=settings.stt_partial_debounce_ms,
        final_timeout_ms=settings.stt_final_timeout_ms,
        silence_ms=settings.vad_silence_ms,
        minimum_speech_ms=settings.vad_minimum_speech_ms,
        pre_roll_ms=settings.vad_pre_roll_ms,
    )


def _log_settings(settings: Settings) -> None:
    log.info(f"[CFG] ENABLE_STREAMING_STT={str(settings.enable_streaming_stt).lower()}")
    values = shown(settings) | {
        "stt_phrases": len(settings.stt_phrases),
        "tools": [tool.name for tool in settings.tools],
        "lead_fields": list(settings.lead_fields),
    }
    for prompt in ("answerer_prompt", "summary_prompt"):
        values[prompt] = f"({quantity(len(getattr(settings, prompt)), 'character')})"
    del values["enable_streaming_stt"]
    log.info("[CFG] settings", version=__version__, **values)
    if settings.flags_provider is FlagsProvider.LIVE and not settings.live_source:
        log.info("[CFG] LIVE_SOURCE is not set: the service has no flags, and its settings hold until a restart")
    for sentence in ineffective(settings):
        log.warning(f"[CFG] {sentence}")
    if not settings.twilio_validate_signatures:
        log.warning("[CFG] TWILIO_VALIDATE_SIGNATURES=false: any client can open a call; use it for development only")
