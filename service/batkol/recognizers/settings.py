"""The settings of speech recognition: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol.environment import EnvironmentSettings, several
from batkol.google_api.hosts import is_google
from batkol.live.recognizer_means import MOST_RECOGNIZERS, in_order
from batkol.recognizers.google import phrases
from batkol.recognizers.google.languages import model_of
from batkol.recognizers.names import check_name, google_name
from batkol.urls import check_endpoint, check_http

GOOGLE_LIMIT_S: Final = 305.0
"""Seconds for which Google lets a stream live."""


class RecognitionFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    free_texts: ClassVar[frozenset[str]] = frozenset({"stt_phrases"})
    with_spaces: ClassVar[frozenset[str]] = frozenset({"whisper_model"})  # may be a folder
    tokens: ClassVar[frozenset[str]] = frozenset({"whisper_api_key"})

    enable_streaming_stt: bool = Field(
        False, description="Value of the flag `streaming-stt` while no provider answers."
    )
    stt_batch_ms: int = Field(150, ge=20, le=1000, description="Audio per message to a streaming recognizer, ms.")
    stt_partial_debounce_ms: int = Field(
        180, ge=0, le=2000, description="Least time between two partials of an utterance, ms."
    )
    stt_final_timeout_ms: int = Field(
        700,
        ge=100,
        le=5000,
        description="Time after the end of speech at which the service promotes the newest interim, ms.",
    )
    stt_rotate_after_s: float = Field(
        240.0, gt=0, description="Age from which the service replaces a stream to Google in silence or at a final, s."
    )
    stt_rotate_by_s: float = Field(
        285.0, gt=0, description="Age at which the service replaces a stream to Google in any case, s."
    )
    stt_replay_limit_s: float = Field(
        10.0, ge=0, description="Most audio that the service sends again after a fault, s."
    )
    stt_replay_rate: float = Field(
        2.5, gt=1, description="Speed at which the service sends audio again, in multiples of real time."
    )
    stt_max_streams: int = Field(
        0, ge=0, description="Streams to Google that this pod may open at once, its share of the quota; 0: no limit."
    )
    stt_check_at_start: bool = Field(
        True,
        description="Send Google one request at start, so that a pod with wrong credentials does not become ready.",
    )
    stt_recognizer: str = Field(
        "",
        description="Streaming recognizer that calls use while the flag `recognizer` names none, such as "
        "`google-v1/default`; empty: the first of STT_RECOGNIZERS_ORDER, or else Google with GCP_STT_MODEL.",
    )
    stt_recognizers_order: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Streaming recognizers that the flag may name, separated by commas, in the order in which a call "
        "tries them after STT_RECOGNIZER fails.",
    )
    gcp_stt_language: str = Field(
        "he-IL", description="BCP-47 language of the callers, for every recognizer; Google gets Hebrew as `iw-IL`."
    )
    gcp_stt_model: str = Field("default", description="Google's model; Hebrew has `default` and `command_and_search`.")
    stt_phrases: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Phrases that callers are likely to say, a JSON array of texts: hints to recognizers."
    )
    gcp_stt_endpoint: str = Field(
        "", description="`host:port` of a region of Google's, or of the speech double, instead of Google's global host."
    )
    gcp_stt_insecure: bool = Field(False, description="Plaintext gRPC, for the speech double.")
    whisper_url: str = Field("", description="Base URL of a server with /v1/audio/transcriptions: the last fallback.")
    whisper_api_key: str = Field("", description="Bearer token for WHISPER_URL.", repr=False)
    whisper_model: str = Field(
        "",
        description="Model name for WHISPER_URL (default whisper-1); without WHISPER_URL, the folder of a local model.",
    )
    whisper_timeout_s: float = Field(15.0, gt=0, description="Time-out of one Whisper request, s.")

    @field_validator("stt_phrases", mode="before")
    @classmethod
    def _phrases(cls, value: object) -> object:
        return phrases.read(value)

    @field_validator("stt_phrases")
    @classmethod
    def _phrases_within_limits(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return phrases.checked(value)

    @field_validator("whisper_url")
    @classmethod
    def _whisper_base(cls, value: str) -> str:
        if value:
            check_http(value)
        if value.partition("?")[0].rstrip("/").endswith(("/v1", "/v1/audio/transcriptions")):
            raise ValueError("must end before /v1/audio/transcriptions, which the service appends itself; omit /v1 too")
        return value

    @field_validator("gcp_stt_endpoint")
    @classmethod
    def _recognizer_endpoint(cls, value: str) -> str:
        if value:
            check_endpoint(value)
        return value

    @field_validator("stt_recognizers_order", mode="before")
    @classmethod
    def _order(cls, value: object) -> object:
        return several(value)

    @property
    def recognizers(self) -> tuple[str, ...]:
        """The names of the streaming recognizers, in the order in which a call tries them; at least one."""
        return in_order(self.stt_recognizer, self.stt_recognizers_order, self.otherwise)

    @property
    def otherwise(self) -> str:
        """The streaming recognizer of a service that names none."""
        return google_name(model_of(self.gcp_stt_language, self.gcp_stt_model))

    def check_recognizers(self, *, soniox_models: Sequence[str]) -> None:
        """Refuse recognizers that there are not, and too many. Raises `ValueError`, a sentence."""
        if len(self.stt_recognizers_order) > MOST_RECOGNIZERS:
            raise ValueError(
                f"STT_RECOGNIZERS_ORDER has {len(self.stt_recognizers_order)} names; {MOST_RECOGNIZERS} are the most"
            )
        if len(self.recognizers) > MOST_RECOGNIZERS:
            raise ValueError(
                f"STT_RECOGNIZER and STT_RECOGNIZERS_ORDER name {len(self.recognizers)} recognizers together; "
                f"{MOST_RECOGNIZERS} are the most"
            )
        named = [("STT_RECOGNIZER", self.stt_recognizer)] if self.stt_recognizer else []
        named += [("STT_RECOGNIZERS_ORDER", name) for name in self.stt_recognizers_order]
        for variable, name in [*named, ("GCP_STT_MODEL", self.otherwise)]:
            try:
                check_name(name, language=self.gcp_stt_language, soniox_models=soniox_models)
            except ValueError as error:
                raise ValueError(f"{variable}: {error}") from None

    def check_rotation(self) -> None:
        """Refuse streams that would be replaced too late. Raises `ValueError`, a sentence."""
        if self.stt_rotate_by_s <= self.stt_rotate_after_s:
            raise ValueError(
                f"STT_ROTATE_BY_S={self.stt_rotate_by_s:g} leaves no time to wait for silence after "
                f"STT_ROTATE_AFTER_S={self.stt_rotate_after_s:g}; set it about 45 s later"
            )
        if self.stt_rotate_by_s >= GOOGLE_LIMIT_S and is_google(self.gcp_stt_endpoint):
            raise ValueError(
                f"STT_ROTATE_BY_S={self.stt_rotate_by_s:g} is too late: Google ends a stream at {GOOGLE_LIMIT_S:g} s; "
                "set it to 285"
            )
