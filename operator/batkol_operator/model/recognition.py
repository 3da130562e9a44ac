"""`spec.recognition` and `spec.endpointing`: what is recognized with, and when an utterance is over.

The six numbers in milliseconds are live: they reach calls in progress and restart nothing. The rest is read at start.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.connections import SecretKey
from batkol_operator.model.part import ResourcePart, ResourceRule, listed

_HEBREW: Final = "(?i)^(he|iw)(-il)?$"
_MODELS: Final = ("default", "command_and_search")

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=100)]  # Google's limit for a phrase


class Whisper(ResourcePart):
    """A server with OpenAI's `/v1/audio/transcriptions`, asked when Google gives no answer."""

    url: str = Field(
        max_length=2048,
        pattern=r"^https?://[^\s?#]+$",
        description="Base URL of the server, without `/v1`, as `http://whisper.speech:8000`.",
    )
    model: str = Field("whisper-1", min_length=1, max_length=253, description="Model name that the server knows.")
    api_key_secret_ref: SecretKey | None = Field(
        None, description="Where the server's bearer token is; absent: none is sent."
    )
    timeout_seconds: int = Field(15, ge=1, le=120, description="Time-out of one request, in seconds.")


class Recognition(ResourcePart):
    """Speech recognition by Google Cloud Speech-to-Text v1, and Whisper after it."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel="!has(self.language) || !has(self.model) || "
            f"!self.language.matches('{_HEBREW}') || self.model in ['default', 'command_and_search']",
            holds=lambda part: not re.search(_HEBREW, part.language) or part.model in _MODELS,
            message="must be `default` or `command_and_search` when `language` is Hebrew (he-IL, iw-IL): "
            "Google has no other model for it",
            field=".model",
        ),
        ResourceRule(
            cel="!has(self.insecure) || !self.insecure || "
            "(has(self.endpoint) && size(self.endpoint) > 0 && !self.endpoint.contains('googleapis.com'))",
            holds=lambda part: not part.insecure or (part.endpoint != "" and "googleapis.com" not in part.endpoint),
            message="may be true only when `endpoint` names a server that is not Google's: "
            "callers' voices never go to Google in plaintext",
            field=".insecure",
        ),
    )

    language: str = Field(
        "he-IL",
        max_length=35,
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$",
        description="BCP-47 language of the callers. A change rolls the pods.",
    )
    model: str = Field(
        "default",
        min_length=1,
        max_length=64,
        pattern=r"^[a-z0-9_]+$",
        description="Google's recognition model; Hebrew has `default` and `command_and_search`. "
        "A change rolls the pods.",
    )
    endpoint: str = Field(
        "",
        max_length=270,
        pattern=r"^([^\s/:]+:[0-9]{1,5})?$",
        description="`host:port` to ask instead of Google, for a regional endpoint or a double. "
        "A change rolls the pods.",
    )
    insecure: bool = Field(
        False, description="Speak plaintext gRPC to `endpoint`; only for a double. A change rolls the pods."
    )
    batch_milliseconds: int = Field(
        150, ge=20, le=1000, description="Live. Audio in one message to the recognizer, in milliseconds."
    )
    partial_debounce_milliseconds: int = Field(
        180, ge=0, le=2000, description="Live. Least time between two partials of an utterance, in milliseconds."
    )
    final_timeout_milliseconds: int = Field(
        700,
        ge=100,
        le=5000,
        description="Live. How long after the end of speech a final may come before the newest partial stands in for "
        "it, in milliseconds.",
    )
    phrases: tuple[Phrase, ...] = Field(
        (),
        max_length=500,
        json_schema_extra=listed("set"),
        description="Words and phrases to expect, as names and products. A change rolls the pods.",
    )
    max_streams: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Streams to Google at once from one pod, its share of the project's quota; 0: no limit. "
        "A change rolls the pods.",
    )
    whisper: Whisper | None = Field(
        None, description="The last fallback; absent: there is none. A change rolls the pods."
    )


class Detector(StrEnum):
    """How speech is told from noise."""

    SILERO = "Silero"
    WEBRTC = "WebRTC"


class Endpointing(ResourcePart):
    """Deciding when the caller speaks, and when an utterance is over."""

    detector: Detector = Field(
        Detector.SILERO,
        description="Silero is accurate, WebRTC light. A change rolls the pods.",
    )
    silence_milliseconds: int = Field(
        480, ge=100, le=3000, description="Live. Quiet that ends an utterance, in milliseconds."
    )
    minimum_speech_milliseconds: int = Field(
        96, ge=0, le=1000, description="Live. Sound shorter than this begins no utterance, in milliseconds."
    )
    pre_roll_milliseconds: int = Field(
        300,
        ge=0,
        le=1000,
        description="Live. Audio from before speech was noticed that goes with the utterance, in milliseconds.",
    )


LIVE: Final[dict[str, tuple[str, ...]]] = {
    "recognition": ("batch_milliseconds", "partial_debounce_milliseconds", "final_timeout_milliseconds"),
    "endpointing": ("silence_milliseconds", "minimum_speech_milliseconds", "pre_roll_milliseconds"),
}
"""The numbers that go into `tuning.json`, and never into a pod's template."""


def live_numbers(recognition: Recognition, endpointing: Endpointing) -> dict[str, dict[str, Any]]:
    """Return what `tuning.json` says, in its own field names."""
    return {
        "recognition": recognition.model_dump(by_alias=True, include=set(LIVE["recognition"])),
        "endpointing": endpointing.model_dump(by_alias=True, include=set(LIVE["endpointing"])),
    }
