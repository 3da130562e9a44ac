"""Settings of `batkol serve`: one frozen object, read once from the environment at start.

Those of recognition are in `batkol.recognizers.settings` and `batkol.recognizers.soniox.settings`, the store's in
`batkol.store.settings`, the replies' in `batkol.conversation.settings` and `tool_settings`, those of how a call ends
in `batkol.conversation.limit_settings`, the answerers' in `batkol.answering.settings`, the voices' in
`batkol.voices.settings` and `batkol.voices.map_settings`, the tokens' in `batkol.api_settings`, the console's in
`batkol.console_settings`, the sinks' in `batkol.sinks.fields`,
those of who may open a stream in `batkol.stream_settings`. Not here: `OTEL_*` (`batkol_otel` and the SDK), `FLAGD_*`
(flagd's provider), `KUBECONFIG` and `GOOGLE_APPLICATION_CREDENTIALS` (their libraries). Only `main` and `app` see the
object; each part gets what it needs. A value that cannot work is refused here, with a sentence that says which value
would.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from batkol.answering.settings import AnswererFields
from batkol.api_settings import ApiFields
from batkol.console_settings import ConsoleFields
from batkol.conversation.limit_settings import LimitFields
from batkol.conversation.settings import ReplyFields
from batkol.conversation.tool_settings import ToolFields
from batkol.environment import check_token, refusal, several
from batkol.errors import ConfigurationError
from batkol.flags.provider import FlagsProvider
from batkol.fleet.endpoint import endpoint
from batkol.host_names import host_name
from batkol.recognizers.settings import RecognitionFields
from batkol.recognizers.soniox.settings import SonioxFields
from batkol.sinks.fields import SinkFields
from batkol.store.settings import StoreFields
from batkol.stream_settings import StreamFields
from batkol.urls import base_url, check_http, masked
from batkol.voices.map_settings import VoiceMapFields

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class LogFormat(StrEnum):
    AUTO = "auto"  # console on a terminal, JSON elsewhere
    JSON = "json"
    CONSOLE = "console"


class LogPartials(StrEnum):
    """Whether each partial has a log line at INFO; otherwise the line is at DEBUG."""

    AUTO = "auto"  # on a terminal, and in development
    TRUE = "true"
    FALSE = "false"


class Settings(
    RecognitionFields,
    SonioxFields,
    StoreFields,
    ReplyFields,
    LimitFields,
    ToolFields,
    AnswererFields,
    VoiceMapFields,
    ApiFields,
    ConsoleFields,
    SinkFields,
    StreamFields,
):
    """Environment variables are the upper-case field names."""

    # A value in an error might be a secret, in whatever way the error comes to be printed.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=False, hide_input_in_errors=True)

    free_texts: ClassVar[frozenset[str]] = (
        StoreFields.free_texts
        | ReplyFields.free_texts
        | LimitFields.free_texts
        | AnswererFields.free_texts
        | VoiceMapFields.free_texts
        | ToolFields.free_texts
        | ApiFields.free_texts
        | SinkFields.free_texts
        | ConsoleFields.free_texts
        | RecognitionFields.free_texts
    )
    with_spaces: ClassVar[frozenset[str]] = (
        StoreFields.with_spaces
        | RecognitionFields.with_spaces
        | {
            "live_source",
            "live_start_from",
            "voice_agent",
        }
    )
    tokens: ClassVar[frozenset[str]] = (
        AnswererFields.tokens
        | VoiceMapFields.tokens
        | ApiFields.tokens
        | StreamFields.tokens
        | RecognitionFields.tokens
        | SonioxFields.tokens
    )

    # Voice activity
    vad: Literal["silero", "webrtc"] = Field("silero", description="VAD engine: Silero (accurate) or WebRTC (light).")
    vad_silence_ms: int = Field(480, ge=100, le=3000, description="Silence that ends an utterance, ms.")
    vad_minimum_speech_ms: int = Field(
        96, ge=0, le=1000, description="Shortest burst of speech; a shorter burst is noise, ms."
    )
    vad_pre_roll_ms: int = Field(
        300, ge=0, le=1000, description="Audio before the first speech that belongs to the utterance, ms."
    )

    # Twilio
    twilio_auth_token: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Twilio auth token; several, comma-separated, during a rotation.", repr=False
    )
    twilio_validate_signatures: bool = Field(True, description="Refuse requests without a valid Twilio signature.")
    public_base_url: str = Field("", description="Base of the URLs that Twilio requests: `https://host[/prefix]`.")
    max_calls: int = Field(100, ge=1, description="Live calls at once in this pod; further callers hear an apology.")
    overflow_url: str = Field("", description="URL with TwiML for further callers, instead of the apology.")

    # Flags and live configuration
    flags_provider: FlagsProvider = Field(
        FlagsProvider.LIVE, description="Provider that evaluates the flag `streaming-stt`."
    )
    live_source: str = Field(
        "",
        description="Folder with flags.json and tuning.json `file:PATH`, or ConfigMap `kubernetes:[NAMESPACE/]NAME`.",
    )
    live_start_from: str = Field(
        "", description="Folder with the files to use until the Kubernetes API server answers."
    )
    voice_agent: str = Field("", description="Name of this agent, for flags and labels.")
    pod_name: str = Field("", description="Name of this pod, for flags and labels.")
    pod_namespace: str = Field(
        "", description="Namespace of this pod; by default the namespace of its service account."
    )

    # Listeners
    host: str = Field("0.0.0.0", description="Address of the public listener, which Twilio reaches.")  # noqa: S104
    port: int = Field(8080, ge=0, le=65535)
    internal_host: str = Field("127.0.0.1", description="Address of the internal listener: status, events, metrics.")
    internal_port: int = Field(8081, ge=0, le=65535)
    fleet_peers: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description=(
            "`host:port` of the internal listener of this agent's pods, for `?scope=fleet`: a name with all their "
            "addresses (a headless Service), or several, separated by commas."
        ),
    )
    internal_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Host names at which the internal API answers browsers, and everybody without a token, beside "
        "localhost.",
    )

    plugins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description=(
            "Plug-ins to run in this process: names of entry points in the group `batkol.plugins`, comma-separated."
        ),
    )

    # Operations
    drain_timeout_s: float = Field(300.0, ge=0, description="Longest wait for live calls after SIGTERM, s.")
    log_transcripts: bool = Field(False, description="Write the callers' words into the log.")
    log_partials: LogPartials = Field(
        LogPartials.AUTO,
        description="Log a line for each partial at INFO, not at DEBUG; `auto`: on a terminal and in development.",
    )
    otel_capture_transcripts: bool = Field(False, description="Write the callers' words into the traces.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: LogFormat = LogFormat.AUTO

    @field_validator("twilio_auth_token", "internal_hosts", "fleet_peers", "plugins", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return several(value)

    @field_validator("twilio_auth_token")
    @classmethod
    def _each_token(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for token in value:
            check_token(token)
        return value

    @field_validator("internal_hosts")
    @classmethod
    def _host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(map(host_name, value))
        except ValueError:
            raise ValueError(
                "must be host names, separated by commas, without scheme and port; the service accepts every IP address"
            ) from None

    @field_validator("fleet_peers")
    @classmethod
    def _endpoints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(endpoint(each)) for each in value)

    @field_validator("overflow_url")
    @classmethod
    def _overflow(cls, value: str) -> str:
        if value:
            check_http(value)
        return value

    @field_validator("public_base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        return base_url(value) if value else value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.twilio_validate_signatures and not self.twilio_auth_token:
            raise ValueError(
                "TWILIO_VALIDATE_SIGNATURES is on and there is no TWILIO_AUTH_TOKEN to check signatures with; set "
                "the token, or for development only TWILIO_VALIDATE_SIGNATURES=false"
            )
        if self.twilio_validate_signatures and not self.public_base_url:
            raise ValueError(
                "Twilio signs the URL that it requests, so the service needs PUBLIC_BASE_URL; set it to the URL of "
                "the number's voice webhook without /twilio/voice"
            )
        if self.flags_provider is FlagsProvider.LIVE and self.live_source and ":" not in self.live_source:
            raise ValueError("LIVE_SOURCE must be file:PATH or kubernetes:[NAMESPACE/]NAME")
        if self.live_start_from and not self.live_source.startswith("kubernetes:"):
            raise ValueError(
                "LIVE_START_FROM is for the time before LIVE_SOURCE=kubernetes:… answers; to follow that directory "
                "itself set LIVE_SOURCE=file:DIRECTORY"
            )
        return self

    @property
    def logs_partials(self) -> bool:
        """Whether each partial has a line at INFO; `auto` in development alone."""
        if self.log_partials is LogPartials.AUTO:
            return not self.twilio_validate_signatures
        return self.log_partials is LogPartials.TRUE

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The settings as `shown`, for a reader who prints them."""
        return ((name, masked(value) if isinstance(value, str) else value) for name, value in super().__repr_args__())

    @model_validator(mode="after")
    def _kept(self) -> Self:
        self.check_rotation()
        self.check_recognizers(soniox_models=self.soniox_models)
        self.check_soniox(chosen=any(name.startswith("soniox/") for name in self.recognizers))
        self.check_tokens(internal_host=self.internal_host, loopback=self.internal_host in LOOPBACK)
        self.check_store(development=not self.twilio_validate_signatures)
        self.check_sinks(keeps_calls=self.keeps_calls)
        self.check_answerers()
        self.check_voices(self.gcp_stt_language)
        self.check_tool_settings(transfers=bool(self.transfer_allowed))
        self.check_streams(self.twilio_auth_token)
        return self


def shown(settings: Settings) -> dict[str, Any]:
    """Return what may be logged: no field that is kept out of `repr`, and of URLs no user, password or query."""
    secret = {name for name, field in Settings.model_fields.items() if not field.repr}
    values = settings.model_dump(mode="json", exclude=secret)
    maps = {"answerers": settings.shown_answerers, "voices": settings.shown_voices, "sinks": settings.shown_sinks}
    return {name: masked(value) if isinstance(value, str) else value for name, value in values.items()} | maps


def read() -> Settings:
    """Read the environment. Raises `ConfigurationError` with one line for each value that cannot work."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(refusal(error)) from None
