"""The settings of the agent's tools: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

import os
from typing import Annotated, Any, ClassVar, Final

import msgspec
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol.environment import EnvironmentSettings
from batkol.tools.definition import BUILT_IN, SAVE_LEAD, ToolDefinition, check_lead_fields, check_tools

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
        try:
            fields = msgspec.json.decode(value or "{}", type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise ValueError(f"must be JSON such as {_FIELDS}: {error}") from None
        check_lead_fields(fields)
        return fields

    def check_tool_settings(self) -> None:
        """Refuse tools that could not be carried out. Raises `ValueError`, a sentence."""
        for tool in self.tools:
            for variable in filter(None, (tool.token_env, tool.secret_env)):
                if not os.environ.get(variable):
                    raise ValueError(f"TOOLS: the tool {tool.name} needs the variable {variable}, which is not set")
        named = {tool.name for tool in self.tools if tool.name in BUILT_IN}
        if SAVE_LEAD in named and not self.lead_fields:
            raise ValueError(f"TOOLS: the tool {SAVE_LEAD} needs LEAD_FIELDS")
