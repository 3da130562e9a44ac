"""The settings of the console: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol import strict_json
from batkol.environment import EnvironmentSettings
from batkol.quantity import quantity
from batkol.urls import check_http

TRACE_ID: Final = "{trace_id}"
MOST_CONSOLES: Final = 50
LONGEST_NAME: Final = 63
_EXAMPLE: Final = '{"sales": "https://sales.example.com/console/"}'


class ConsoleFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    free_texts: ClassVar[frozenset[str]] = frozenset({"console_agents"})

    trace_url: str = Field(
        "",
        description=f"Address of a trace for the console's links, with `{TRACE_ID}` in it, such as "
        f"`https://jaeger.example.com/trace/{TRACE_ID}`; without it the console shows the id.",
    )

    console_agents: Annotated[Mapping[str, str], NoDecode] = Field(
        {},
        description="JSON of the consoles of other agents, name to address; the console links to them from its phone.",
    )

    @field_validator("console_agents", mode="before")
    @classmethod
    def _console_agents(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return strict_json.of_variable(value, _EXAMPLE) if value else {}

    @field_validator("console_agents")
    @classmethod
    def _addresses(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if len(value) > MOST_CONSOLES:
            raise ValueError(f"has {quantity(len(value), 'agent')}; it may have {MOST_CONSOLES}")
        for name, url in value.items():
            if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
                raise ValueError(f"must have names of 1 to {LONGEST_NAME} printable characters")
            try:
                check_http(url)
            except ValueError as error:
                raise ValueError(f"{name}: the address {error}") from None
            if "@" in url:
                raise ValueError(f"{name}: the address must have no user and no password: every client may read it")
        return value

    @field_validator("trace_url")
    @classmethod
    def _with_place_for_id(cls, value: str) -> str:
        if not value:
            return value
        check_http(value.replace(TRACE_ID, "0"))
        if value.count(TRACE_ID) != 1:
            raise ValueError(f"must have {TRACE_ID} exactly once, where the id of the trace belongs")
        if "@" in value:
            raise ValueError("must have no user and no password: every client of the internal API may read it")
        return value
