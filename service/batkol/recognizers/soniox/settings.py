"""The settings of Soniox: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol.environment import EnvironmentSettings, several
from batkol.recognizers.names import check_soniox_model
from batkol.recognizers.soniox.wire import DEFAULT_MODEL, SESSIONS, SONIOX_URL
from batkol.urls import check_http


class SonioxFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    tokens: ClassVar[frozenset[str]] = frozenset({"soniox_api_key"})

    soniox_api_key: str = Field("", description="Key of the Soniox Console, sent with the handshake alone.", repr=False)
    soniox_url: str = Field(
        SONIOX_URL, description="WebSocket of Soniox: a region of Soniox's, or the Soniox double on this machine."
    )
    soniox_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (DEFAULT_MODEL,),
        description="Real-time models of Soniox that names of recognizers may have behind `soniox/`, separated by "
        "commas.",
    )
    soniox_max_streams: int = Field(
        SESSIONS,
        ge=0,
        description="Sessions with Soniox that this pod may hold at once, its share of the account's 10; 0: no limit.",
    )

    @field_validator("soniox_models", mode="before")
    @classmethod
    def _models(cls, value: object) -> object:
        return several(value) or (DEFAULT_MODEL,)

    @field_validator("soniox_models")
    @classmethod
    def _each_a_model(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for model in value:
            check_soniox_model(model)
        return value

    @field_validator("soniox_url")
    @classmethod
    def _soniox(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme not in {"wss", "ws"}:
            raise ValueError(f"must be such as {SONIOX_URL}; ws:// is for the double")
        check_http(f"https://{rest}")
        if any(mark in rest for mark in "@?#"):
            raise ValueError("must not have a user, a query or a fragment; the key is SONIOX_API_KEY")
        host = rest.partition("/")[0].partition(":")[0].lower().removesuffix(".")
        if scheme == "ws" and host.endswith("soniox.com"):
            raise ValueError("must begin with wss://: the key travels with the handshake")
        return value

    def check_soniox(self, *, chosen: bool) -> None:
        """Refuse Soniox without a key, if it is `chosen`. Raises `ValueError`, a sentence."""
        if chosen and not self.soniox_api_key:
            raise ValueError("Soniox is chosen as a recognizer and has no key; set SONIOX_API_KEY")
