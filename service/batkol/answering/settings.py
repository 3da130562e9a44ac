"""The settings of who answers: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from batkol import named_specs
from batkol.answering.behind import THEN_AFTER_MS
from batkol.answering.hedged import AFTER_MS
from batkol.answering.specs import AnswererKind, AnswererSpec, check_hedges
from batkol.environment import EnvironmentSettings
from batkol.quantity import quantity
from batkol.urls import check_api_base, check_http

_EXAMPLE: Final = '{"fast": {"kind": "openai", "url": "https://llm.example.com/v1", "model": "m", "keyEnv": "LLM_KEY"}}'


class AnswererFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    model_config = SettingsConfigDict(arbitrary_types_allowed=True)

    free_texts: ClassVar[frozenset[str]] = frozenset({"answerers"})
    tokens: ClassVar[frozenset[str]] = frozenset({"answerer_api_key"})

    answerer: AnswererKind = Field(
        "echo",
        description=(
            "Who answers: `echo` repeats the caller, `openai` is a server with /chat/completions, `webhook` a bot of "
            "your own, `hedged` the first text of two."
        ),
    )
    answerer_url: str = Field("", description="Base URL of the answerer's server, with `/v1`; the URL of a webhook.")
    answerer_model: str = Field("", description="Model of the answerer's server.")
    answerer_api_key: str = Field(
        "", description="Bearer token for ANSWERER_URL; the secret (`whsec_…`) of a webhook.", repr=False
    )
    answerer_first: str = Field("", description="For `hedged`: the name in ANSWERERS that is asked first.")
    answerer_second: str = Field("", description="For `hedged`: the name in ANSWERERS that is asked, too.")
    answerer_after_ms: int = Field(
        AFTER_MS, ge=0, le=3500, description="For `hedged`: time without a text after which the second is asked, ms."
    )
    answerer_then: str = Field(
        "", description="Name in ANSWERERS of the one behind: asked when the answerer fails, or has no text in time."
    )
    answerer_then_after_ms: int = Field(
        THEN_AFTER_MS, ge=0, le=3500, description="Time without a text after which ANSWERER_THEN is asked, ms."
    )
    answerers: Annotated[Mapping[str, AnswererSpec], NoDecode] = Field(
        {}, description="JSON of further answerers, name to `{kind, url, model, keyEnv, then, …}`.", repr=False
    )

    @field_validator("answerer_url")
    @classmethod
    def _answerer_url(cls, value: str, info: ValidationInfo) -> str:
        if value:
            (check_http if info.data.get("answerer") == "webhook" else check_api_base)(value)
        return value

    @field_validator("answerers", mode="before")
    @classmethod
    def _answerers(cls, value: object) -> object:
        return named_specs.read(value, AnswererSpec, _EXAMPLE)

    @property
    def answerer_specs(self) -> Mapping[str, AnswererSpec]:
        """All answerers by name; `default` is that of the variables `ANSWERER*`."""
        default = AnswererSpec(
            kind=self.answerer,
            url=self.answerer_url,
            model=self.answerer_model,
            first=self.answerer_first,
            second=self.answerer_second,
            after_ms=self.answerer_after_ms,
            then=self.answerer_then,
            then_after_ms=self.answerer_then_after_ms,
        )
        return {named_specs.DEFAULT: default, **self.answerers}

    def answerer_keys(self, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
        """Return the secret of each answerer by its name. Raises `ValueError` for a variable that there is not."""
        keys = {name: named_specs.check_keys(name, spec.key_env, environ) for name, spec in self.answerer_specs.items()}
        return keys | {named_specs.DEFAULT: self.answerer_api_key}

    def check_answerers(self, environ: Mapping[str, str] = os.environ) -> None:
        """Refuse what cannot answer. Raises `ValueError`, a sentence."""
        specs = self.answerer_specs
        default = specs[named_specs.DEFAULT]
        if default.missing:
            needed = " and ".join(f"ANSWERER_{field.upper()}" for field in default.needed)
            raise ValueError(f"ANSWERER={default.kind} needs {needed}")
        default.check_secret("ANSWERER_API_KEY", self.answerer_api_key)
        for field, name in default.others:
            if name not in self.answerers:
                raise ValueError(f"ANSWERER_{field.upper()} must be a name of ANSWERERS, and {name[:40]} is none")
        try:
            keys = self.answerer_keys(environ)
            for name, spec in self.answerers.items():
                spec.check(name, keys[name])
            named_specs.check_names({name: tuple(spec.others) for name, spec in specs.items()})
            named_specs.check_ends({name: spec.then for name, spec in specs.items()})
            check_hedges(specs)
        except ValueError as error:
            raise ValueError(f"ANSWERERS: {error}") from None

    @property
    def shown_answerers(self) -> dict[str, Any]:
        """The map as it may be logged."""
        return named_specs.shown(
            self.answerers, lambda field, text: f"({quantity(len(text), 'character')})" if field == "prompt" else text
        )
