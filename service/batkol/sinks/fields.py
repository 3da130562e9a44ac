"""The variable `SINKS`: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, cast

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from batkol import named_specs
from batkol.environment import EnvironmentSettings
from batkol.sinks.settings import NatsSettings, SinkSettings, WebhookSettings

_EXAMPLE: Final = '{"crm": {"kind": "webhook", "url": "https://crm.example.com/batkol", "secretEnv": "CRM_SECRET"}}'


_KINDS: Final = cast("type[SinkSettings]", WebhookSettings | NatsSettings)  # a union, which msgspec reads by `kind`


class SinkFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    model_config = SettingsConfigDict(arbitrary_types_allowed=True)

    free_texts: ClassVar[frozenset[str]] = frozenset({"sinks"})

    sinks: Annotated[Mapping[str, SinkSettings], NoDecode] = Field(
        {},
        description="JSON of the receivers that events are handed on to, name to `{kind, url, …}`: docs/sinks.md.",
        repr=False,
    )

    @field_validator("sinks", mode="before")
    @classmethod
    def _sinks(cls, value: object) -> object:
        return named_specs.read(value, _KINDS, _EXAMPLE, reserved="")

    def sink_secrets(self, environ: Mapping[str, str] = os.environ) -> Mapping[str, tuple[str, ...]]:
        """Return the secrets of each sink by its name. Raises `ValueError`, which quotes none."""
        return {name: spec.secrets(name, environ) for name, spec in self.sinks.items()}

    def check_sinks(self, *, keeps_calls: bool, environ: Mapping[str, str] = os.environ) -> None:
        """Refuse what cannot hand events on. `keeps_calls`: whether there is a store. Raises `ValueError`."""
        try:
            for name, spec in self.sinks.items():
                spec.check(name)
                _check_store(name, spec, keeps_calls=keeps_calls)
            self.sink_secrets(environ)
        except ValueError as error:
            raise ValueError(f"SINKS: {error}") from None

    @property
    def shown_sinks(self) -> dict[str, Any]:
        """The map as it may be logged: of a URL only where it leads, for its path may be a secret."""
        shown = named_specs.shown(self.sinks, lambda _, text: text)
        return {name: {**shown[name], "url": spec.shown_url} for name, spec in self.sinks.items()}


def _check_store(name: str, spec: SinkSettings, *, keeps_calls: bool) -> None:
    if spec.needs_store and not keeps_calls:
        raise ValueError(
            f"{name}: its events come out of the store, and the service stores no calls (STORE=none); remove the sink, "
            'or remove STORE and set DATABASE_URL. (A sink of kind nats with "events": [] and "partials": true needs '
            "no store)"
        )
