"""The settings of the voices: those of `VOICE`, part of `batkol.settings.Settings`, and one entry of `VOICES`."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Literal

import msgspec
from pydantic import Field, field_validator

from batkol.environment import EnvironmentSettings
from batkol.urls import check_api_base, check_endpoint

THEN_AFTER_MS: Final = 2000
"""Time in which a voice with another one behind it must have given sound; the apology comes after 3,500."""

VoiceKind = Literal["builtin", "espeak", "openai", "google"]

GOOGLE_FAMILY: Final = "Chirp3-HD"
"""The family of Google's voices that stream."""

_GOOGLE_NAME: Final = re.compile(r"([a-z]{2,3}-[A-Za-z0-9]{2,4})-(.+)")
_SILENT_FAMILIES: Final = ("Standard", "Wavenet", "Neural2", "Studio", "Polyglot", "News", "Casual", "Journey")
_MAP: Final = {name: name for name in ("kind", "url", "model", "name")}
_VARIABLES: Final = {"kind": "VOICE", "url": "VOICE_URL", "model": "VOICE_MODEL", "name": "VOICE_NAME"}


class VoiceSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One voice as the user describes it: an entry of `VOICES`, or the variables `VOICE*`."""

    kind: VoiceKind = "builtin"
    url: str = ""
    """For `openai`: the server's base with `/v1`."""
    model: str = ""
    name: str = ""
    """The voice, for kinds that have several."""
    key_env: str = ""
    """The name of the environment variable that has the bearer token."""
    then: str = ""
    """The name of the entry that speaks from the first unheard sentence when this voice fails."""
    then_after_ms: int = THEN_AFTER_MS
    """Time in which this voice must have given the first sound of a piece, or that entry speaks."""

    def check(self, language: str, said: dict[str, str] | None = None) -> None:
        """Refuse what cannot speak that language. `said` has the names of the fields in the errors.

        Raises `ValueError`, a sentence.
        """
        names = said or _MAP
        if not 100 <= self.then_after_ms <= 10_000:
            raise ValueError("thenAfterMs must be from 100 to 10000")
        if self.kind == "openai":
            if not (self.url and self.model):
                raise ValueError(f"{names['kind']}=openai needs {names['url']} and {names['model']}")
            check_api_base(self.url)
        elif self.kind == "google":
            _check_google(self.name, google_language(language), names["name"])


def google_language(language: str) -> str:
    """Return the language's code as Google's voices have it: Hebrew is `he-IL` here, and `iw-IL` in recognition."""
    return re.sub("^iw", "he", "he-IL" if language.lower() in ("he", "iw") else language, flags=re.IGNORECASE)


def google_name(name: str, language: str) -> str:
    """Return the whole name of a voice of Google's; a short one, such as `Achernar`, is one of the language."""
    code = google_language(language)
    return name if _GOOGLE_NAME.fullmatch(name) else f"{code}-{GOOGLE_FAMILY}-{name or 'Achernar'}"


def _check_google(name: str, language: str, called: str) -> None:
    whole = _GOOGLE_NAME.fullmatch(name)
    if whole is None:
        return
    if whole[1].lower() != language.lower():
        raise ValueError(
            f"{called}={name} speaks {whole[1]}, and the callers' language is {language} (GCP_STT_LANGUAGE); set "
            f"{called} to a voice of {language}"
        )
    if whole[2].startswith(_SILENT_FAMILIES):
        raise ValueError(
            f"{called}={name} does not stream; set {called} to a voice such as {language}-{GOOGLE_FAMILY}-Achernar"
        )


class VoiceFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    tokens: ClassVar[frozenset[str]] = frozenset({"voice_api_key"})

    voice: VoiceKind = Field(
        "builtin",
        description="Who speaks: `builtin` (the demo's words), `espeak`, `openai` (/audio/speech), `google` (Chirp 3).",
    )
    voice_url: str = Field("", description="Base URL of the voice's server, with `/v1`.")
    voice_model: str = Field("", description="Model of the voice's server.")
    voice_name: str = Field("", description="Name of the voice, for those that have several.")
    voice_api_key: str = Field("", description="Bearer token for VOICE_URL.", repr=False)
    voice_then: str = Field("", description="Name in VOICES of the voice that speaks on when this one fails.")
    voice_then_after_ms: int = Field(
        THEN_AFTER_MS, ge=100, le=10_000, description="Time without a sound after which VOICE_THEN speaks, ms."
    )
    gcp_tts_endpoint: str = Field(
        "", description="`host:port` instead of Google's global host: a region of Google's, or the voice double."
    )
    gcp_tts_insecure: bool = Field(False, description="Plaintext gRPC, for the voice double.")
    gcp_tts_max_sessions: int = Field(
        100, ge=1, description="Speaking sessions at Google that this pod may have at once, its share of the quota."
    )

    @field_validator("voice_url")
    @classmethod
    def _voice_base(cls, value: str) -> str:
        if value:
            check_api_base(value)
        return value.rstrip("/")

    @field_validator("gcp_tts_endpoint")
    @classmethod
    def _voice_endpoint(cls, value: str) -> str:
        if value:
            check_endpoint(value)
        return value

    @property
    def voice_spec(self) -> VoiceSpec:
        """The voice of the variables `VOICE*`."""
        return VoiceSpec(
            kind=self.voice,
            url=self.voice_url,
            model=self.voice_model,
            name=self.voice_name,
            then=self.voice_then,
            then_after_ms=self.voice_then_after_ms,
        )

    def check_voice(self, language: str) -> None:
        """Refuse what cannot speak. Raises `ValueError`, a sentence."""
        self.voice_spec.check(language, _VARIABLES)
