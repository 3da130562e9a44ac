"""The container's environment, which a pod reads once, at start.

No live field is here: its change would change the template, and roll the pods that have the calls.
"""

from __future__ import annotations

import json
from typing import Final

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.connections import InternalApi, Twilio
from batkol_operator.model.database import DatabaseTimeoutsSpec
from batkol_operator.model.reserved import CA_FILE, VARIABLES
from batkol_operator.model.secret_key import SecretKey
from batkol_operator.model.workload import Telemetry
from batkol_operator.resources.objects import written
from batkol_operator.resources.replies import reply_environment
from batkol_operator.resources.sinks import sink_environment
from batkol_operator.resources.variables import downward, plain, secret
from batkol_operator.resources.volumes import GOOGLE_KEY_FILE, JOURNAL_DIR, LIVE_DIR, MEMORY_DIR

_VAD: Final = {"Silero": "silero", "WebRTC": "webrtc"}


def environment(agent: VoiceAgent) -> list[Manifest]:
    """Return the variables in a fixed order; some that equal the service's defaults are left out."""
    ours = [
        *_identity(agent),
        *_recognition(agent),
        *reply_environment(agent.spec.reply),
        *_plugins(agent),
        *_twilio(agent),
        *_storage(agent),
        *sink_environment(agent.spec.sinks),
        *_observability(agent.metadata.name, agent.metadata.namespace, agent.spec.telemetry),
        *_authorities(agent),
    ]
    own = [written(variable) for variable in agent.spec.pod.env]
    return [*ours, *(_reserved(ours) if agent.spec.pod.env_from else []), *own]


def _reserved(ours: list[Manifest]) -> list[Manifest]:
    """Tell the program which variables `envFrom` may not set: the operator does not see what its objects hold.

    Kubernetes gives `env` precedence, but not for a variable that this spec leaves out, nor for another spelling.
    """
    names = sorted(each["name"] for each in ours)
    left = sorted(set(VARIABLES) - {*names, "SPEC_SETS", "SPEC_UNSETS"})
    return [plain("SPEC_SETS", ",".join(names)), plain("SPEC_UNSETS", ",".join(left))]


def _identity(agent: VoiceAgent) -> list[Manifest]:
    name, api = agent.metadata.name, agent.spec.internal_api
    return [
        downward("POD_NAME", "metadata.name"),
        downward("POD_NAMESPACE", "metadata.namespace"),
        plain("VOICE_AGENT", name),
        *_flags(agent),
        plain("LIVE_SOURCE", f"kubernetes:{names.live_name(name)}"),
        plain("LIVE_START_FROM", LIVE_DIR),
        plain("HOST", "0.0.0.0"),  # noqa: S104 -- in a pod that is where traffic comes in
        plain("PORT", names.PUBLIC_PORT),
        plain("INTERNAL_HOST", "0.0.0.0"),  # noqa: S104 -- with a token, behind a NetworkPolicy
        plain("INTERNAL_PORT", names.INTERNAL_PORT),
        plain("FLEET_PEERS", f"{names.fleet_name(name)}:{names.INTERNAL_PORT}"),
        secret("API_TOKEN", SecretKey(name=names.api_secret_name(name), key=names.TOKEN_KEY)),
        *([secret("API_TOKENS", api.tokens_secret_ref)] if api.tokens_secret_ref else []),
        *([plain("INTERNAL_HOSTS", ",".join(api.hosts))] if api.hosts else []),
        *([plain("CONSOLE_AGENTS", _consoles(api))] if api.consoles else []),
    ]


def _flags(agent: VoiceAgent) -> list[Manifest]:
    flagd = agent.spec.flagd
    if flagd is None:
        return [plain("FLAGS_PROVIDER", "live")]
    return [
        plain("FLAGS_PROVIDER", "flagd"),
        plain("FLAGD_HOST", flagd.host),
        plain("FLAGD_SYNC_PORT", flagd.port),
        plain("FLAGD_TLS", flagd.tls),
        *([plain("FLAGD_SOURCE_SELECTOR", flagd.selector)] if flagd.selector else []),
    ]


def _consoles(api: InternalApi) -> str:
    return json.dumps({each.agent: each.url for each in api.consoles}, ensure_ascii=False)


def _recognition(agent: VoiceAgent) -> list[Manifest]:
    wanted, google = agent.spec.recognition, agent.spec.google
    variables = [
        plain("GCP_STT_LANGUAGE", wanted.language),
        plain("GCP_STT_MODEL", wanted.model),
        plain("STT_MAX_STREAMS", wanted.max_streams),
        plain("VAD", _VAD[agent.spec.endpointing.detector]),
    ]
    if wanted.endpoint:
        variables += [plain("GCP_STT_ENDPOINT", wanted.endpoint), plain("GCP_STT_INSECURE", wanted.insecure)]
    if wanted.phrases:
        variables.append(plain("STT_PHRASES", json.dumps(wanted.phrases, ensure_ascii=False)))
    if google.credentials_secret_ref:
        variables.append(plain("GOOGLE_APPLICATION_CREDENTIALS", GOOGLE_KEY_FILE))
    if voices := google.voices:
        variables += [
            plain("GCP_TTS_ENDPOINT", voices.endpoint),
            plain("GCP_TTS_INSECURE", voices.insecure),
            plain("GCP_TTS_MAX_SESSIONS", voices.max_sessions),
        ]
    if soniox := wanted.soniox:
        variables += [
            secret("SONIOX_API_KEY", soniox.api_key_secret_ref),
            plain("SONIOX_URL", soniox.url),
            plain("SONIOX_MODELS", ",".join(soniox.models)),
            plain("SONIOX_MAX_STREAMS", soniox.max_streams),
        ]
    if whisper := wanted.whisper:
        variables += [
            plain("WHISPER_URL", whisper.url),
            plain("WHISPER_MODEL", whisper.model),
            plain("WHISPER_TIMEOUT_S", whisper.timeout_seconds),
        ]
        if whisper.api_key_secret_ref:
            variables.append(secret("WHISPER_API_KEY", whisper.api_key_secret_ref))
    return variables


def _plugins(agent: VoiceAgent) -> list[Manifest]:
    return [plain("PLUGINS", ",".join(agent.spec.plugins))] if agent.spec.plugins else []


def _twilio(agent: VoiceAgent) -> list[Manifest]:
    twilio, calls = agent.spec.twilio, agent.spec.calls
    variables = [
        plain("PUBLIC_BASE_URL", twilio.public_base_url),
        plain("TWILIO_VALIDATE_SIGNATURES", twilio.validate_signatures),
        plain("MAX_CALLS", calls.max_per_pod),
        plain("DRAIN_TIMEOUT_S", calls.drain_timeout_seconds),
    ]
    if twilio.auth_token_secret_ref:
        variables.append(secret("TWILIO_AUTH_TOKEN", twilio.auth_token_secret_ref))
    if calls.overflow_url:
        variables.append(plain("OVERFLOW_URL", calls.overflow_url))
    return [*variables, *_own_twiml(twilio)]


def _own_twiml(twilio: Twilio) -> list[Manifest]:
    variables, api, own = [], twilio.rest_api, twilio.own_twiml
    if own is not None:
        variables.append(plain("STREAM_TOKEN", "optional"))
    if own is not None and own.stream_secret_ref:
        variables.append(secret("STREAM_SECRET", own.stream_secret_ref))
    if api is not None:
        variables.append(plain("TWILIO_ACCOUNT_SID", api.account_sid))
    if api is not None and api.url:
        variables.append(plain("TWILIO_API_URL", api.url))
    if api is not None and api.api_key:
        variables += [
            plain("TWILIO_API_KEY", api.api_key.sid),
            secret("TWILIO_API_SECRET", api.api_key.secret_ref),
        ]
    return variables


def _storage(agent: VoiceAgent) -> list[Manifest]:
    database = agent.spec.database
    if database is None:
        return [plain("STORE", "none")]
    return [
        plain("STORE", "postgres"),
        secret("DATABASE_URL", database.url_secret_ref),
        plain("DATABASE_POOL_SIZE", database.pool_size),
        *_timeouts(database.timeouts),
        plain("RETENTION_DAYS", database.retention_days),
        *([plain("SUMMARY_PROMPT", database.summary_prompt)] if database.summary_prompt else []),
        plain("JOURNAL_DIR", JOURNAL_DIR),
        plain("JOURNAL_MAX_MB", database.journal.size_limit_mebibytes),
        plain("JOURNAL_MEMORY_DIR", MEMORY_DIR),
    ]


def _timeouts(spec: DatabaseTimeoutsSpec | None) -> list[Manifest]:
    if spec is None:
        return []
    limits = {"CONNECT": spec.connect_seconds, "STATEMENT": spec.statement_seconds, "COMMAND": spec.command_seconds}
    return [plain(f"DATABASE_{name}_TIMEOUT_S", seconds) for name, seconds in limits.items() if seconds is not None]


def _observability(name: str, namespace: str, telemetry: Telemetry) -> list[Manifest]:
    variables = [
        plain("LOG_FORMAT", "json"),
        plain("LOG_LEVEL", telemetry.log_level.upper()),
        plain("LOG_TRANSCRIPTS", telemetry.log_transcripts),
        plain("OTEL_CAPTURE_TRANSCRIPTS", telemetry.capture_transcripts),
    ]
    if telemetry.trace_url:
        variables.append(plain("TRACE_URL", telemetry.trace_url))
    if telemetry.otlp_headers_secret_ref:
        variables.append(secret("OTEL_EXPORTER_OTLP_HEADERS", telemetry.otlp_headers_secret_ref))
    if telemetry.otlp_endpoint:
        variables += [
            plain("OTEL_EXPORTER_OTLP_ENDPOINT", telemetry.otlp_endpoint),
            plain("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            plain("OTEL_TRACES_SAMPLER_ARG", f"{telemetry.sample_percent / 100:g}"),
            plain("OTEL_RESOURCE_ATTRIBUTES", f"k8s.namespace.name={namespace},k8s.deployment.name={name}"),
        ]
    return variables


def _authorities(agent: VoiceAgent) -> list[Manifest]:
    """Name the bundle to each library that has trusted certificates of its own.

    Not to the database's driver (`PGSSLROOTCERT`): with it `sslmode=require` would check the server, whose authority
    need not be in the bundle. `DATABASE_URL` names the file where it is.
    """
    if agent.spec.pod.ca_bundle is None:
        return []
    readers = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"]
    if (agent.spec.telemetry.otlp_endpoint or "").startswith("https://"):
        readers.append("OTEL_EXPORTER_OTLP_CERTIFICATE")
    return [plain(name, CA_FILE) for name in readers]
