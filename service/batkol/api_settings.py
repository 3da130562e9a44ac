"""The settings of the internal API's tokens: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol import api_tokens
from batkol.environment import EnvironmentSettings
from batkol.rights import ALL_RIGHTS, READ_RIGHTS, Grant


class ApiFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    free_texts: ClassVar[frozenset[str]] = frozenset({"api_tokens"})
    tokens: ClassVar[frozenset[str]] = frozenset({"api_token", "api_read_token"})

    api_token: str = Field("", description="Bearer token of the internal API, with every right.", repr=False)
    api_read_token: str = Field(
        "", description="Bearer token of the internal API, with the rights `status` and `texts`.", repr=False
    )
    api_tokens: Annotated[tuple[Grant, ...], NoDecode] = Field(
        (), description="JSON of further bearer tokens of the internal API: name → `{token, may}`.", repr=False
    )

    @field_validator("api_read_token")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value:
            api_tokens.check_length(value)
        return value

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        return api_tokens.read(value) if isinstance(value, str) else value

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The tokens of the internal API, with their names and rights."""
        all_rights = Grant("API_TOKEN", self.api_token, ALL_RIGHTS)
        read_rights = Grant("API_READ_TOKEN", self.api_read_token, READ_RIGHTS)
        return (*(grant for grant in (all_rights, read_rights) if grant.token), *self.api_tokens)

    def check_tokens(self, *, internal_host: str, loopback: bool) -> None:
        """Refuse one token with two names, and a network that may everything. Raises `ValueError`."""
        api_tokens.check_all(self.grants)
        if not loopback and not self.grants:
            raise ValueError(
                f"INTERNAL_HOST={internal_host} opens the internal API to the network without a password; "
                "set API_TOKEN, or bind it to 127.0.0.1; API_READ_TOKEN and API_TOKENS are passwords as well"
            )
