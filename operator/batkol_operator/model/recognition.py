"""`spec.recognition` and `spec.endpointing`: the recognizers, and the start and end of an utterance.

The six numbers in milliseconds and the names of the streaming recognizers are live: they reach calls in progress and
restart nothing. Pods read the rest at start, the accounts with vendors among it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.address import WITH_HOST, HostPort, plaintext_rule
from batkol_operator.model.one_line import OneLine
from batkol_operator.model.part import ResourcePart, ResourceRule, listed
from batkol_operator.model.secret_key import SecretKey

_HEBREW: Final = "(?i)^(he|iw)(-il)?$"
_MODELS: Final = ("default", "command_and_search")

RecognizerName = Annotated[
    str, StringConstraints(max_length=80, pattern=r"^(google-v1|soniox)/[A-Za-z0-9][A-Za-z0-9._-]*$")
]
"""A streaming recognizer: the vendor's API and the model."""

SonioxModel = Annotated[str, StringConstraints(max_length=73, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""The second half of the name of one of Soniox's recognizers."""

_MOST_RECOGNIZERS: Final = 8
PhraseHint = Annotated[str, StringConstraints(min_length=1, max_length=100)]  # Google's limit for a phrase


class Whisper(ResourcePart):
    """A server with OpenAI's `/v1/audio/transcriptions`, used when Google gives no answer."""

    url: Annotated[str, WITH_HOST] = Field(
        max_length=2048,
        pattern=r"^https?://[^\s?#]+$",
        description="Base URL of the server, without `/v1`, such as `http://whisper.speech:8000`.",
    )
    model: OneLine = Field("whisper-1", description="Name of the server's model.")
    api_key_secret_ref: SecretKey | None = Field(
        None, description="Secret key with the server's bearer token; absent: the service sends none."
    )
    timeout_seconds: int = Field(15, ge=1, le=120, description="Time-out of one request, in seconds.")


class Soniox(ResourcePart):
    """The account with Soniox, for the recognizers whose names begin with `soniox/`."""

    api_key_secret_ref: SecretKey = Field(description="Secret key with the key of the Soniox Console.")
    url: Annotated[str, WITH_HOST] = Field(
        "wss://stt-rt.soniox.com/transcribe-websocket",
        max_length=2048,
        pattern=r"^wss?://[^\s?#@]+$",
        description="WebSocket of Soniox: a region of Soniox's, or a double.",
    )
    models: tuple[SonioxModel, ...] = Field(
        ("stt-rt-v5",),
        min_length=1,
        max_length=_MOST_RECOGNIZERS,
        json_schema_extra=listed("set"),
        description="Real-time models of Soniox that names of recognizers may have behind `soniox/`. A change rolls "
        "the pods.",
    )
    max_streams: int = Field(
        10,
        ge=0,
        le=10_000,
        description="Most concurrent sessions of one pod with Soniox, its share of the account's 10; 0: no limit.",
    )


def _of_each_name(condition: str) -> str:
    """Return the CEL that a condition on `name` holds for each recognizer that the spec names."""
    order = f"!has(self.order) || self.order.all(name, {condition})"
    return f"({order}) && (!has(self.recognizer) || [self.recognizer].all(name, {condition}))"


_OF_HEBREW: Final = _of_each_name(
    "!name.startsWith('google-v1/') || name in ['google-v1/default', 'google-v1/command_and_search']"
)
_OF_SONIOX: Final = _of_each_name(
    "!name.startsWith('soniox/') || self.soniox.models.exists(model, name == 'soniox/' + model)"
)


class Recognition(ResourcePart):
    """Speech recognition: streaming recognizers in their order, single requests, and Whisper as the last fallback."""

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
            cel="has(self.soniox) || !((has(self.recognizer) && self.recognizer.startsWith('soniox/')) || "
            "(has(self.order) && self.order.exists(name, name.startsWith('soniox/'))))",
            holds=lambda part: bool(part.soniox) or not part.models_of("soniox"),
            message="must have the account when `recognizer` or `order` names one of Soniox's recognizers",
            field=".soniox",
        ),
        ResourceRule(
            cel=f"!has(self.language) || !self.language.matches('{_HEBREW}') || ({_OF_HEBREW})",
            holds=lambda part: not re.search(_HEBREW, part.language) or part.models_of("google-v1") <= {*_MODELS},
            message="must name no recognizer of Google's but `google-v1/default` and `google-v1/command_and_search` "
            "when `language` is Hebrew (he-IL, iw-IL): Google has no other model for it",
        ),
        ResourceRule(
            cel=f"!has(self.soniox) || !has(self.soniox.models) || ({_OF_SONIOX})",
            holds=lambda part: part.soniox is None or part.models_of("soniox") <= {*part.soniox.models},
            message="must name no recognizer of Soniox's whose model `soniox.models` lacks: correct the name, or add "
            "the model there if Soniox has it",
        ),
        ResourceRule(
            cel="!has(self.recognizer) || !has(self.order) || self.recognizer in self.order || "
            f"size(self.order) < {_MOST_RECOGNIZERS}",
            holds=lambda part: len({*part.names}) <= _MOST_RECOGNIZERS,
            message=f"must name at most {_MOST_RECOGNIZERS} recognizers, `recognizer` among them",
            field=".order",
        ),
        plaintext_rule(
            "may be true only when `endpoint` names a server that is not Google's: "
            "the service never sends callers' voices to Google in plaintext"
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
    recognizer: RecognizerName | None = Field(
        None,
        description="Live. Streaming recognizer that calls use while the flag `recognizer` names none: the vendor's "
        "API and the model, such as `google-v1/default`; absent: the first of `order`, or else Google with `model`.",
    )
    order: tuple[RecognizerName, ...] = Field(
        (),
        max_length=_MOST_RECOGNIZERS,
        json_schema_extra=listed("set"),
        description="Live. Streaming recognizers that the flag `recognizer` may name, in the order in which a call "
        "tries them when one fails.",
    )
    endpoint: HostPort = Field(
        "",
        description="`host:port` to use instead of Google's, for a regional endpoint or a double. "
        "A change rolls the pods.",
    )
    insecure: bool = Field(
        False, description="Use plaintext gRPC to `endpoint`; only for a double. A change rolls the pods."
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
        description="Live. Time after the end of speech to wait for a final, before the newest interim result becomes "
        "the final, in milliseconds.",
    )
    phrases: tuple[PhraseHint, ...] = Field(
        (),
        max_length=500,
        json_schema_extra=listed("set"),
        description="Words and phrases to expect, such as names and products. A change rolls the pods.",
    )
    max_streams: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Most concurrent streams of one pod to Google, its share of the project's quota; 0: no limit. "
        "A change rolls the pods.",
    )
    soniox: Soniox | None = Field(
        None,
        description="Account with Soniox; absent: no call can use it. A change rolls the pods; until then a pod "
        "without the account refuses a live change that names one of Soniox's recognizers.",
    )
    whisper: Whisper | None = Field(None, description="Last fallback; absent: none. A change rolls the pods.")

    @property
    def names(self) -> tuple[str, ...]:
        """The recognizers that the spec names, perhaps one of them twice."""
        return self.order if self.recognizer is None else (*self.order, self.recognizer)

    def models_of(self, api: str) -> set[str]:
        """Return the models that the spec names with that API."""
        return {name.partition("/")[2] for name in self.names if name.startswith(f"{api}/")}


class Detector(StrEnum):
    """Voice activity detector."""

    SILERO = "Silero"
    WEBRTC = "WebRTC"


class Endpointing(ResourcePart):
    """Settings for the start and the end of an utterance."""

    detector: Detector = Field(
        Detector.SILERO,
        description="Voice activity detector: Silero is accurate, WebRTC needs little CPU. A change rolls the pods.",
    )
    silence_milliseconds: int = Field(
        480, ge=100, le=3000, description="Live. Silence that ends an utterance, in milliseconds."
    )
    minimum_speech_milliseconds: int = Field(
        96, ge=0, le=1000, description="Live. Shortest sound that begins an utterance, in milliseconds."
    )
    pre_roll_milliseconds: int = Field(
        300,
        ge=0,
        le=1000,
        description="Live. Audio before the detected start of speech that belongs to the utterance, in milliseconds.",
    )


LIVE: Final[dict[str, tuple[str, ...]]] = {
    "recognition": (
        "batch_milliseconds",
        "partial_debounce_milliseconds",
        "final_timeout_milliseconds",
        "recognizer",
        "order",
    ),
    "endpointing": ("silence_milliseconds", "minimum_speech_milliseconds", "pre_roll_milliseconds"),
}
"""The fields that go into `tuning.json`, and never into a pod's template."""


def live_tuning(recognition: Recognition, endpointing: Endpointing) -> dict[str, dict[str, Any]]:
    """Return the contents of `tuning.json`, in its own field names; recognizers only where the spec names any."""
    heard = recognition.model_dump(mode="json", by_alias=True, include=set(LIVE["recognition"]))
    return {
        "recognition": {name: value for name, value in heard.items() if value not in (None, [])},
        "endpointing": endpointing.model_dump(by_alias=True, include=set(LIVE["endpointing"])),
    }
