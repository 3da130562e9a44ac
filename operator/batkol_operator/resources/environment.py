"""The container's environment, which a pod reads once, at start.

No live field is here: its change would change the template, and roll the pods that have the calls.
"""

from __future__ import annotations

import json
from typing import Any, Final

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.connections import SecretKey, Twilio
from batkol_operator.model.workload import Telemetry
from batkol_operator.resources.volumes import GOOGLE_KEY_FILE, JOURNAL_DIR, LIVE_DIR, MEMORY_DIR

_VAD: Final = {"Silero": "silero", "WebRTC": "webrtc"}


def environment(agent: VoiceAgent) -> list[Manifest]:
    """Return the variables in a fixed order; some that equal the service's defaults are left out."""
    return [
        *_identity(agent),
        *_recognition(agent),
        *_twilio(agent),
        *_storage(agent),
        *_observability(agent.metadata.name, agent.metadata.namespace, agent.spec.telemetry),
    ]


def _identity(agent: VoiceAgent) -> list[Manifest]:
    name, tokens = agent.metadata.name, agent.spec.internal_api.tokens_secret_ref
    return [
        _downward("POD_NAME", "metadata.name"),
        _downward("POD_NAMESPACE", "metadata.namespace"),
        _plain("VOICE_AGENT", name),
        _plain("FLAGS_PROVIDER", "live"),
        _plain("LIVE_SOURCE", f"kubernetes:{names.live_name(name)}"),
        _plain("LIVE_START_FROM", LIVE_DIR),
        _plain("HOST", "0.0.0.0"),  # noqa: S104 -- in a pod that is where traffic comes in
        _plain("PORT", names.PUBLIC_PORT),
        _plain("INTERNAL_HOST", "0.0.0.0"),  # noqa: S104 -- with a token, behind a NetworkPolicy
        _plain("INTERNAL_PORT", names.INTERNAL_PORT),
        _plain("FLEET_PEERS", f"{names.fleet_name(name)}:{names.INTERNAL_PORT}"),
        _secret("API_TOKEN", SecretKey(name=names.api_secret_name(name), key=names.TOKEN_KEY)),
        *([_secret("API_TOKENS", tokens)] if tokens else []),
    ]


def _recognition(agent: VoiceAgent) -> list[Manifest]:
    wanted, google = agent.spec.recognition, agent.spec.google
    variables = [
        _plain("GCP_STT_LANGUAGE", wanted.language),
        _plain("GCP_STT_MODEL", wanted.model),
        _plain("STT_MAX_STREAMS", wanted.max_streams),
        _plain("VAD", _VAD[agent.spec.endpointing.detector]),
    ]
    if wanted.endpoint:
        variables += [_plain("GCP_STT_ENDPOINT", wanted.endpoint), _plain("GCP_STT_INSECURE", wanted.insecure)]
    if wanted.phrases:
        variables.append(_plain("STT_PHRASES", json.dumps(wanted.phrases, ensure_ascii=False)))
    if google.credentials_secret_ref:
        variables.append(_plain("GOOGLE_APPLICATION_CREDENTIALS", GOOGLE_KEY_FILE))
    if whisper := wanted.whisper:
        variables += [
            _plain("WHISPER_URL", whisper.url),
            _plain("WHISPER_MODEL", whisper.model),
            _plain("WHISPER_TIMEOUT_S", whisper.timeout_seconds),
        ]
        if whisper.api_key_secret_ref:
            variables.append(_secret("WHISPER_API_KEY", whisper.api_key_secret_ref))
    return variables


def _twilio(agent: VoiceAgent) -> list[Manifest]:
    twilio, calls = agent.spec.twilio, agent.spec.calls
    variables = [
        _plain("PUBLIC_BASE_URL", twilio.public_base_url),
        _plain("TWILIO_VALIDATE_SIGNATURES", twilio.validate_signatures),
        _plain("MAX_CALLS", calls.max_per_pod),
        _plain("DRAIN_TIMEOUT_S", calls.drain_timeout_seconds),
    ]
    if twilio.auth_token_secret_ref:
        variables.append(_secret("TWILIO_AUTH_TOKEN", twilio.auth_token_secret_ref))
    if calls.overflow_url:
        variables.append(_plain("OVERFLOW_URL", calls.overflow_url))
    return [*variables, *_own_twiml(twilio)]


def _own_twiml(twilio: Twilio) -> list[Manifest]:
    variables, api, own = [], twilio.rest_api, twilio.own_twiml
    if own is not None:
        variables.append(_plain("STREAM_TOKEN", "optional"))
    if own is not None and own.stream_secret_ref:
        variables.append(_secret("STREAM_SECRET", own.stream_secret_ref))
    if api is not None:
        variables.append(_plain("TWILIO_ACCOUNT_SID", api.account_sid))
    if api is not None and api.api_key:
        variables += [
            _plain("TWILIO_API_KEY", api.api_key.sid),
            _secret("TWILIO_API_SECRET", api.api_key.secret_ref),
        ]
    return variables


def _storage(agent: VoiceAgent) -> list[Manifest]:
    database = agent.spec.database
    if database is None:
        return [_plain("STORE", "none")]
    return [
        _plain("STORE", "postgres"),
        _secret("DATABASE_URL", database.url_secret_ref),
        _plain("DATABASE_POOL_SIZE", database.pool_size),
        _plain("RETENTION_DAYS", database.retention_days),
        _plain("JOURNAL_DIR", JOURNAL_DIR),
        _plain("JOURNAL_MAX_MB", database.journal.size_limit_mebibytes),
        _plain("JOURNAL_MEMORY_DIR", MEMORY_DIR),
    ]


def _observability(name: str, namespace: str, telemetry: Telemetry) -> list[Manifest]:
    variables = [
        _plain("LOG_FORMAT", "json"),
        _plain("LOG_LEVEL", telemetry.log_level.upper()),
        _plain("LOG_TRANSCRIPTS", telemetry.log_transcripts),
        _plain("OTEL_CAPTURE_TRANSCRIPTS", telemetry.capture_transcripts),
    ]
    if telemetry.otlp_endpoint:
        variables += [
            _plain("OTEL_EXPORTER_OTLP_ENDPOINT", telemetry.otlp_endpoint),
            _plain("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            _plain("OTEL_TRACES_SAMPLER_ARG", f"{telemetry.sample_percent / 100:g}"),
            _plain("OTEL_RESOURCE_ATTRIBUTES", f"k8s.namespace.name={namespace},k8s.deployment.name={name}"),
        ]
    return variables


def _plain(name: str, value: str | float | bool) -> Manifest:
    """Escape a value: `$(NAME)` is Kubernetes' own syntax, `$$(` keeps the text as written."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"name": name, "value": text.replace("$(", "$$(")}


def _secret(name: str, ref: SecretKey) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}}


def _downward(name: str, path: str) -> Manifest:
    field: dict[str, Any] = {"apiVersion": "v1", "fieldPath": path}
    return {"name": name, "valueFrom": {"fieldRef": field}}
