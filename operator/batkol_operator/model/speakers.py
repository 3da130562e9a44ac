"""Answerers and voices: `spec.reply.answerer`, `answerers`, `voice` and `voices`. Read by pods at start."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.address import WITH_HOST
from batkol_operator.model.one_line import OneLine
from batkol_operator.model.part import ResourcePart, ResourceRule
from batkol_operator.model.secret_key import SecretKey

DEFAULT: Final = "default"
"""The name of the one in `answerer` or `voice`."""

_NAME: Final = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_OPENAI: Final = "OpenAI"
"""The kind, of answerers and of voices, that is a server with OpenAI's API."""

ServerUrl = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^https?://[^\s?#@]+$"), WITH_HOST]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=_NAME)]

KEY_CHANGE: Final = (
    "A change of the reference rolls the pods; a change of the Secret takes effect in pods that start after it."
)
"""Effect of a change of a reference to a Secret, for people."""
_MODEL: Final = "For OpenAI: the server's model. A change rolls the pods."


def server_rules(path: str) -> tuple[ResourceRule, ...]:
    """Return the rules about the server of kind OpenAI; `path` is that of its requests."""
    return (
        ResourceRule(
            cel=f"self.kind != '{_OPENAI}' || (has(self.url) && has(self.model))",
            holds=lambda part: part.kind != _OPENAI or (part.url is not None and part.model is not None),
            message="must be specified, and `model` too, when `kind` is OpenAI",
            field=".url",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel=f"self.kind != '{_OPENAI}' || !has(self.url) || !self.url.contains('{path}')",
            holds=lambda part: part.kind != _OPENAI or part.url is None or path not in part.url,
            message=f"must end before `{path}`, at `/v1`: the service appends that path itself",
            field=".url",
        ),
    )


class AnswererKind(StrEnum):
    """Kind of an answerer."""

    ECHO = "Echo"
    OPENAI = "OpenAI"
    WEBHOOK = "Webhook"
    HEDGED = "Hedged"


class AnsweringServer(ResourcePart):
    """One answerer."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        *server_rules("/chat/completions"),
        ResourceRule(
            cel="self.kind in ['OpenAI', 'Webhook'] || (!has(self.url) && !has(self.model) && !has(self.keySecretRef))",
            holds=lambda part: (
                part.kind in (AnswererKind.OPENAI, AnswererKind.WEBHOOK)
                or (part.url is None and part.model is None and part.key_secret_ref is None)
            ),
            message="may not be specified, nor `model` and `keySecretRef`, when `kind` is Echo or Hedged",
            field=".url",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="self.kind != 'Webhook' || !has(self.model)",
            holds=lambda part: part.kind is not AnswererKind.WEBHOOK or part.model is None,
            message="may not be specified when `kind` is Webhook",
            field=".model",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="self.kind != 'Webhook' || has(self.url)",
            holds=lambda part: part.kind is not AnswererKind.WEBHOOK or part.url is not None,
            message="must be specified when `kind` is Webhook",
            field=".url",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel="self.kind != 'Hedged' || (has(self.first) && has(self.second) && self.first != self.second)",
            holds=lambda part: (
                part.kind is not AnswererKind.HEDGED
                or (part.first is not None and part.second is not None and part.first != part.second)
            ),
            message="and `second` must be two names when `kind` is Hedged",
            field=".first",
        ),
        ResourceRule(
            cel="self.kind == 'Hedged' || (!has(self.first) && !has(self.second) && !has(self.hedgeAfterMilliseconds))",
            holds=lambda part: (
                part.kind is AnswererKind.HEDGED
                or (part.first is None and part.second is None and part.hedge_after_milliseconds is None)
            ),
            message="may not be specified, nor `second` and `hedgeAfterMilliseconds`, when `kind` is not Hedged",
            field=".first",
            reason="FieldValueForbidden",
        ),
    )

    kind: AnswererKind = Field(
        description="Echo repeats the caller (to try the line); OpenAI is a server with `/chat/completions`; Webhook "
        "is a bot of your own, asked by HTTP; Hedged asks two others and takes the first text. A change rolls the "
        "pods.",
    )
    url: ServerUrl | None = Field(
        None,
        description="For OpenAI the server's base URL with `/v1`, such as `https://api.openai.com/v1`; for Webhook the "
        "URL that each question is sent to. A change rolls the pods.",
    )
    model: OneLine | None = Field(None, description=_MODEL)
    key_secret_ref: SecretKey | None = Field(
        None,
        description="Secret key with the bearer token (OpenAI), or with the secret that signs the questions (Webhook, "
        f"`whsec_…`); absent: none is sent. {KEY_CHANGE}",
    )
    first: Reference | None = Field(
        None, description="For Hedged: name of the answerer that is asked at once. A change rolls the pods."
    )
    second: Reference | None = Field(
        None,
        description="For Hedged: name of the answerer that is asked too when the first is slow. A change rolls the "
        "pods.",
    )
    hedge_after_milliseconds: int | None = Field(
        None,
        ge=0,
        le=3500,
        description="For Hedged: time without a text from `first` after which `second` is asked, in milliseconds; "
        "absent: 500. A change rolls the pods.",
    )
    then: Reference | None = Field(
        None,
        description="Name of the answerer that is asked when this one fails or has no text in time; absent: the caller "
        "hears the apology. A change rolls the pods.",
    )
    then_after_milliseconds: int | None = Field(
        None,
        ge=0,
        le=3500,
        description="Time without a text after which `then` is asked, in milliseconds; absent: 1500. A change rolls "
        "the pods.",
    )


class NamedAnswerer(AnsweringServer):
    """An answerer with a name."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        *AnsweringServer.rules,
        ResourceRule(
            cel="self.kind == 'OpenAI' || (!has(self.maxTokens) && !has(self.temperaturePercent))",
            holds=lambda part: (
                part.kind is AnswererKind.OPENAI or (part.max_tokens is None and part.temperature_percent is None)
            ),
            message="may not be specified, nor `temperaturePercent`, when `kind` is not OpenAI",
            field=".maxTokens",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="self.kind != 'Echo' || !has(self.prompt)",
            holds=lambda part: part.kind is not AnswererKind.ECHO or part.prompt is None,
            message="may not be specified when `kind` is Echo",
            field=".prompt",
            reason="FieldValueForbidden",
        ),
    )

    name: Reference = Field(
        description=f"Name, as the flag `answerer` gives it; `{DEFAULT}` is the one in `answerer`. A change rolls the "
        "pods.",
    )
    prompt: str | None = Field(
        None,
        min_length=1,
        max_length=32_768,
        description="Instructions in the place of `reply.prompt`, to try them by the flag `answerer`. A change rolls "
        "the pods.",
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="For OpenAI: most tokens of an answer; absent: 300. A change rolls the pods.",
    )
    temperature_percent: int | None = Field(
        None,
        ge=0,
        le=200,
        description="For OpenAI: temperature in percent, 100 being 1.0; absent: the server's own. A change rolls the "
        "pods.",
    )


class VoiceKind(StrEnum):
    """Kind of a voice."""

    BUILTIN = "Builtin"
    ESPEAK = "Espeak"
    GOOGLE = "Google"
    OPENAI = "OpenAI"


class SpeakingVoice(ResourcePart):
    """One voice."""

    rules: ClassVar[tuple[ResourceRule, ...]] = server_rules("/audio/speech")

    kind: VoiceKind = Field(
        description="Google streams Chirp 3 HD voices, with the credentials of `google`; OpenAI is a server with "
        "`/audio/speech`; Espeak needs an image with the extra `espeak`; Builtin has the demo's words only. A change "
        "rolls the pods.",
    )
    url: ServerUrl | None = Field(
        None,
        description="For OpenAI: base URL of the server, with `/v1`. A change rolls the pods.",
    )
    model: OneLine | None = Field(None, description=_MODEL)
    voice_name: OneLine | None = Field(
        None,
        description="The voice, for kinds that have several: `alloy` (OpenAI), `he-IL-Chirp3-HD-Achernar` (Google). A "
        "change rolls the pods.",
    )
    key_secret_ref: SecretKey | None = Field(
        None, description=f"For OpenAI: Secret key with the bearer token; absent: the service sends none. {KEY_CHANGE}"
    )
    then: Reference | None = Field(
        None,
        description="Name of the voice that goes on, from the first sentence that the caller has not heard, when this "
        "one fails; absent: none. A change rolls the pods.",
    )
    then_after_milliseconds: int | None = Field(
        None,
        ge=100,
        le=10_000,
        description="Time without a sound after which `then` speaks, in milliseconds; absent: 2000. A change rolls the "
        "pods.",
    )


class NamedVoice(SpeakingVoice):
    """A voice with a name."""

    name: Reference = Field(
        description=f"Name, as the flag `voice` gives it; `{DEFAULT}` is the one in `voice`. A change rolls the pods.",
    )
