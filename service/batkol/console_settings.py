"""The settings of the console: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

from typing import Final

from pydantic import Field, field_validator

from batkol.environment import EnvironmentSettings
from batkol.urls import check_http

TRACE_ID: Final = "{trace_id}"


class ConsoleFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    trace_url: str = Field(
        "",
        description=f"Address of a trace for the console's links, with `{TRACE_ID}` in it, such as "
        f"`https://jaeger.example.com/trace/{TRACE_ID}`; without it the console shows the id.",
    )

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
