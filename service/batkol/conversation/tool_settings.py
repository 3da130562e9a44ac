"""The settings of the agent's tools: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol import strict_json, tool_secrets
from batkol.environment import EnvironmentSettings
from batkol.tools.definition import BUILT_IN, SAVE_LEAD, TRANSFER, ToolDefinition, check_lead_fields, check_tools

_TOOL: Final = '[{"name": "hang_up"}, {"name": "book", "url": "https://…", "parameters": {"type": "object"}}]'
_FIELDS: Final = '{"name": "The caller\'s name", "seats": {"type": "integer"}}'


class ToolFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    free_texts: ClassVar[frozenset[str]] = frozenset({"tools", "lead_fields"})

    tools: Annotated[tuple[Any, ...], NoDecode] = Field(
        (),
        description="Tools of the answerer, JSON: a list of definitions; `hang_up` and `transfer` by name alone.",
        repr=False,  # a URL may have a password
    )
    lead_fields: Annotated[dict[str, Any], NoDecode] = Field(
        {}, description="What the tool `save_lead` saves, JSON: name of a field to JSON Schema, or to a description."
    )

    @field_validator("tools", mode="before")
    @classmethod
    def _definitions(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        strict_json.of_variable(value or "[]", _TOOL)
        try:
            tools = msgspec.json.decode(value or "[]", type=tuple[ToolDefinition, ...])
        except msgspec.MsgspecError as error:
            raise ValueError(f"must be JSON such as {_TOOL}: {error}") from None
        check_tools(tools)
        return tools

    @field_validator("lead_fields", mode="before")
    @classmethod
    def _fields(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        fields = strict_json.of_variable(value or "{}", _FIELDS)
        if not isinstance(fields, dict):
            raise ValueError(f"must be JSON such as {_FIELDS}: an object")  # noqa: TRY004 - pydantic takes it
        check_lead_fields(fields)
        return fields

    def check_tool_settings(self, *, transfers: bool, environ: Mapping[str, str] = os.environ) -> None:
        """Refuse tools that could not be carried out. `transfers`: a caller may be transferred to a number.

        Raises `ValueError`, a sentence.
        """
        for _, complaint in tool_secrets.complaints(self.tools, environ):
            raise ValueError(f"TOOLS: {complaint}")
        named = {tool.name for tool in self.tools if tool.name in BUILT_IN}
        if SAVE_LEAD in named and not self.lead_fields:
            raise ValueError(f"TOOLS: the tool {SAVE_LEAD} needs LEAD_FIELDS; set it, or remove the tool")
        if TRANSFER in named and not transfers:
            raise ValueError(f"TOOLS: the tool {TRANSFER} needs TRANSFER_ALLOWED; set it, or remove the tool")
