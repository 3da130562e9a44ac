"""The setting of further voices: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from batkol import named_specs
from batkol.voices.settings import VoiceFields, VoiceSpec

_EXAMPLE: Final = '{"warm": {"kind": "google", "name": "Achernar", "then": "default"}}'


class VoiceMapFields(VoiceFields):
    """Environment variables are the upper-case field names."""

    model_config = SettingsConfigDict(arbitrary_types_allowed=True)

    free_texts: ClassVar[frozenset[str]] = VoiceFields.free_texts | {"voices"}

    voices: Annotated[Mapping[str, VoiceSpec], NoDecode] = Field(
        {},
        description="JSON of further voices, name to `{kind, url, model, name, keyEnv, then, thenAfterMs}`.",
        repr=False,
    )

    @field_validator("voices", mode="before")
    @classmethod
    def _voices(cls, value: object) -> object:
        return named_specs.read(value, VoiceSpec, _EXAMPLE)

    @property
    def voice_specs(self) -> Mapping[str, VoiceSpec]:
        """All voices by name; `default` is that of the variables `VOICE*`."""
        return {named_specs.DEFAULT: self.voice_spec, **self.voices}

    def voice_keys(self, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
        """Return the secret of each voice by its name. Raises `ValueError` for a variable that there is not."""
        keys = {name: named_specs.check_keys(name, spec.key_env, environ) for name, spec in self.voice_specs.items()}
        return keys | {named_specs.DEFAULT: self.voice_api_key}

    def check_voices(self, language: str, environ: Mapping[str, str] = os.environ) -> None:
        """Refuse what cannot speak that language. Raises `ValueError`, a sentence."""
        self.check_voice(language)
        try:
            self.voice_keys(environ)
            for name, spec in self.voices.items():
                _check(name, spec, language)
            then = {name: spec.then for name, spec in self.voice_specs.items()}
            named_specs.check_names({name: [("then", behind)] if behind else [] for name, behind in then.items()})
            named_specs.check_ends(then)
        except ValueError as error:
            raise ValueError(f"VOICES: {error}") from None

    @property
    def shown_voices(self) -> dict[str, Any]:
        """The map as it may be logged."""
        return named_specs.shown(self.voices, lambda _, text: text)


def _check(name: str, spec: VoiceSpec, language: str) -> None:
    if spec.url:
        named_specs.check_url(name, spec.url)
    try:
        spec.check(language)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
