"""Names in a pod that are the operator's own: variables, volumes, folders and containers. What a team adds has others.

A test compares the variables with those that plans set.
"""

from __future__ import annotations

from typing import Final

CA_DIR: Final = "/etc/batkol/ca"
CA_FILE: Final = f"{CA_DIR}/ca.crt"

VARIABLES: Final = (
    *("SPEC_SETS", "SPEC_UNSETS"),
    *("POD_NAME", "POD_NAMESPACE", "VOICE_AGENT", "HOST", "PORT", "INTERNAL_HOST", "INTERNAL_PORT", "FLEET_PEERS"),
    *("API_TOKEN", "API_TOKENS", "INTERNAL_HOSTS", "CONSOLE_AGENTS", "PLUGINS"),
    *("FLAGS_PROVIDER", "FLAGD_HOST", "FLAGD_SYNC_PORT", "FLAGD_TLS", "FLAGD_SOURCE_SELECTOR"),
    *("LIVE_SOURCE", "LIVE_START_FROM", "GCP_STT_LANGUAGE", "GCP_STT_MODEL", "GCP_STT_ENDPOINT", "GCP_STT_INSECURE"),
    *(
        "STT_RECOGNIZER",
        "STT_RECOGNIZERS_ORDER",
        "STT_MAX_STREAMS",
        "STT_PHRASES",
        "VAD",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ),
    *("GCP_TTS_ENDPOINT", "GCP_TTS_INSECURE", "GCP_TTS_MAX_SESSIONS"),
    *("SONIOX_API_KEY", "SONIOX_URL", "SONIOX_MODELS", "SONIOX_MAX_STREAMS"),
    *("WHISPER_URL", "WHISPER_MODEL", "WHISPER_TIMEOUT_S", "WHISPER_API_KEY"),
    *("AGENT_REPLIES", "SPECULATIVE_ATTEMPTS_PER_MINUTE", "TRANSFER_ALLOWED"),
    *("ANSWERER", "ANSWERERS", "ANSWERER_URL", "ANSWERER_MODEL", "ANSWERER_FIRST", "ANSWERER_SECOND"),
    *("ANSWERER_AFTER_MS", "ANSWERER_THEN", "ANSWERER_THEN_AFTER_MS", "ANSWERER_API_KEY"),
    *("VOICE", "VOICES", "VOICE_URL", "VOICE_MODEL", "VOICE_NAME", "VOICE_THEN", "VOICE_THEN_AFTER_MS"),
    *("VOICE_API_KEY", "PUBLIC_BASE_URL", "MAX_CALLS", "DRAIN_TIMEOUT_S", "OVERFLOW_URL"),
    *("TWILIO_VALIDATE_SIGNATURES", "TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID", "TWILIO_API_URL", "TWILIO_API_KEY"),
    *("TWILIO_API_SECRET", "STREAM_TOKEN", "STREAM_SECRET", "STORE", "RETENTION_DAYS", "SUMMARY_PROMPT"),
    *("DATABASE_URL", "DATABASE_POOL_SIZE", "DATABASE_CONNECT_TIMEOUT_S", "DATABASE_STATEMENT_TIMEOUT_S"),
    *("DATABASE_COMMAND_TIMEOUT_S", "JOURNAL_DIR", "JOURNAL_MAX_MB", "JOURNAL_MEMORY_DIR", "SINKS"),
    *("LOG_FORMAT", "LOG_LEVEL", "LOG_TRANSCRIPTS", "OTEL_CAPTURE_TRANSCRIPTS", "TRACE_URL"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
    *("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_RESOURCE_ATTRIBUTES"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
)
"""The variables that some spec sets, or has a live field for. All are reserved in each agent: another field, specified
later, would set them."""

PREFIXES: Final = (
    *("ANSWERER_KEY_", "VOICE_KEY_", "TOOL_TOKEN_", "TOOL_SECRET_", "SINK_SECRET_", "SINK_CREDENTIALS_"),
)
"""Beginnings of the variables with the secrets of named parts."""

VOLUMES: Final = ("tmp", "live", "google", "ca", "state", "memory")
CONTAINERS: Final = ("media", "migrate")
PORTS: Final = (8080, 8081)
"""Containers of a pod share its ports: a sidecar that listens on one of these keeps the program from starting."""
PORT_NAMES: Final = ("public", "internal")
"""By these Services and monitors find the program."""

FOLDERS: Final = (
    "^/(bin|dev|etc|lib|opt|opt/app|opt/venv|proc|run|sys|tmp|usr|var|var/lib)$"
    "|^/(etc/batkol|run/batkol|var/lib/batkol)(/|$)"
)
"""Folders that hold the operator's mounts or the program."""
