"""The two surfaces of a service: what Twilio reaches, and what only the cluster reaches."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from batkol import __version__
from batkol.app import gauges
from batkol.app.fleet import announce_end
from batkol.app.listeners import INTERNAL, PUBLIC, counting
from batkol.app.service import Service
from batkol.calls.services import Services
from batkol.fleet.peers import FleetRequest
from batkol.google_api.hosts import is_google
from batkol.twilio.twiml import MEDIA_PATH, stream_url
from batkol.web import (
    console_api,
    console_files,
    ends,
    event_feed,
    fleet,
    handover,
    history,
    line,
    live_calls,
    phone,
    reference,
    voice,
)
from batkol.web import internal as ops
from batkol.web.access import Access, trusted
from batkol.web.errors import expect_disconnects
from batkol.web.media import Gate, MediaSocket
from batkol.web.misdirected import answer_misdirected
from batkol.web.phone_start import PhoneChoices
from batkol.web.private_answers import PrivateAnswers
from batkol.web.probes import exposition, probes
from batkol.web.proof import ProofSettings, StreamProof
from batkol.web.same_origin import SameOrigin
from batkol.web.self_probe import SelfProbe


def public(service: Service) -> FastAPI:
    """Build the application that Twilio reaches."""
    settings, calls = service.settings, service.calls
    signed = settings.twilio_auth_token if settings.twilio_validate_signatures else ()
    keys = service.keys
    base = settings.public_base_url
    webhooks = voice.VoiceSettings(
        public_base_url=base,
        auth_tokens=signed,
        token_keys=keys,
        token_ttl_s=settings.stream_token_ttl_s,
        agent=settings.voice_agent,
        language=settings.gcp_stt_language,
        overflow_url=settings.overflow_url,
        hung_up_elsewhere=partial(_hung_up_elsewhere, service),
    )
    gate = Gate(url=stream_url(base) if base else "", auth_tokens=signed, token_keys=keys)
    proving = ProofSettings(
        token_keys=keys,
        token_required=not settings.takes_own_twiml,
        secrets=settings.stream_secret,
        agent=settings.voice_agent,
    )
    proof = StreamProof(proving, service.twilio_api)
    app = FastAPI(title="Batkol, public", version=__version__, openapi_url=None, redirect_slashes=False)
    app.include_router(probes(service.why_not_ready, why_not_alive=service.why_not_alive, explained=False))
    app.include_router(voice.routes(webhooks, calls, service.metrics, service.store.recorder, service.continuations))
    media = MediaSocket(
        gate=gate, proof=proof, calls=calls, services=_services(service), continuations=service.continuations
    )
    for path in (MEDIA_PATH, f"{MEDIA_PATH}/"):
        app.router.routes.append(WebSocketRoute(path, endpoint=media))
    answer_misdirected(app, base)
    expect_disconnects(app, counting(service, PUBLIC))
    service.tracing.instrument(app)
    return app


async def _hung_up_elsewhere(service: Service, call_sid: str) -> bool:
    """Ask the other pods, with this pod's own token, which is theirs too."""
    settings = service.settings
    if not settings.fleet_peers:
        return False
    token = settings.grants[0].token if settings.grants else ""
    asking = FleetRequest(f"Bearer {token}" if token else "")
    return await service.fleet.hung_up(asking, call_sid)


def _console(service: Service) -> console_api.ConsoleService:
    settings = service.settings
    return console_api.ConsoleService(
        agent=settings.voice_agent,
        pod=settings.pod_name,
        language=settings.gcp_stt_language,
        replies=settings.agent_replies,
        trace_url=settings.trace_url,
        builtin=not is_google(settings.gcp_stt_endpoint),
        others=[console_api.OtherConsole(agent=name, url=url) for name, url in settings.console_agents.items()],
    )


def _console_line(service: Service) -> console_api.ConsoleLine:
    choices = _choices(service)
    return console_api.ConsoleLine(
        answerers=list(choices.answerers),
        voices=list(choices.voices),
        transfers=service.telephone.labels,
        why_no_transfer=service.telephone.why_no_transfer,
    )


def _choices(service: Service) -> PhoneChoices:
    settings = service.settings
    return PhoneChoices(tuple(settings.answerer_specs), tuple(settings.voice_specs))


def _phone(service: Service, access: Access) -> phone.PhoneSocket:
    settings = phone.PhoneSettings(
        agent=service.settings.voice_agent,
        account_sid=service.settings.twilio_account_sid,
        choices=_choices(service),
    )
    return phone.PhoneSocket(settings=settings, access=access, calls=service.calls, services=_services(service))


def _services(service: Service) -> Services:
    settings = service.settings
    return Services(
        bus=service.bus,
        recognizers=service.recognizers,
        flags=service.flags,
        live=service.live,
        vad=service.vad,
        metrics=service.metrics,
        language=settings.gcp_stt_language,
        pod=settings.pod_name,
        log_transcripts=settings.log_transcripts,
        log_partials=settings.logs_partials,
        tracing=service.tracing,
        recorder=service.store.recorder,
        agent=service.agent,
        telephone=service.telephone,
        announce_end=partial(announce_end, service),
    )


def internal(service: Service) -> FastAPI:
    """Build the application that only the cluster reaches."""
    metrics = service.metrics
    gauges.expose(
        metrics, calls=service.calls, drain=service.drain, bus=service.bus, live=service.live, tracing=service.tracing
    )
    gauges.expose_streams(metrics, [step.recognizer for step in service.recognizers.streaming])
    service.health.expose(metrics, service.channels)
    service.store.expose(metrics)
    gauges.expose_tasks(metrics, service.tasks)
    metrics.counter(
        "batkol.log.lines_lost",
        "{line}",
        "Log lines dropped because stderr did not accept them.",
        lambda: service.lines_lost,
    )
    return internal_app(service, Access.of(service.settings))


def internal_app(service: Service, access: Access) -> FastAPI:
    """Build the application that only the cluster reaches, without its metrics."""
    app = FastAPI(title="Batkol, internal", version=__version__, openapi_url=None, redirect_slashes=False)
    app.add_middleware(PrivateAnswers)
    has_token = trusted(access) if access.asks else None
    app.add_middleware(SameOrigin, hosts=service.settings.internal_hosts, has_token=has_token)
    through = SelfProbe(service.settings.host, lambda: service.port)
    service_probes = probes(
        service.why_not_ready,
        service.degraded,
        service.why_not_alive,
        unreachable=through.why_not,
        words=service.health.words,
    )
    app.include_router(service_probes)
    app.include_router(exposition(service.metrics))
    app.include_router(reference.routes(app))
    app.include_router(console_files.routes())
    app.include_router(console_api.routes(_console(service), access, partial(_console_line, service)))
    app.router.routes.append(WebSocketRoute(phone.PATH, endpoint=_phone(service, access)))
    app.include_router(
        fleet.pod_routes(calls=service.calls, ring=service.bus.ring, pod=service.settings.pod_name, access=access)
    )
    app.include_router(handover.routes(service.continuations.own, service.keys))
    app.include_router(ends.routes(service.calls.ended_elsewhere, service.keys))
    app.include_router(fleet.routes(service.fleet, access))  # before the pod's own routes
    app.include_router(ops.routes(calls=service.calls, status=service.status, drain=service.drain.run, access=access))
    app.include_router(
        live_calls.routes(calls=service.calls, bus=service.bus, access=access, answers=service.agent_answers)
    )
    app.include_router(event_feed.routes(calls=service.calls, bus=service.bus, access=access))
    app.include_router(line.routes(calls=service.calls, telephone=service.telephone, access=access))
    app.include_router(history.routes(store=service.store, access=access))
    expect_disconnects(app, counting(service, INTERNAL))
    return app
