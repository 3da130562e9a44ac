"""Definitions of tools, as the environment and the live configuration have them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from batkol.tools.schema import check_schema
from batkol.urls import check_http

HANG_UP: Final = "hang_up"
TRANSFER: Final = "transfer"
SAVE_LEAD: Final = "save_lead"
BUILT_IN: Final = (HANG_UP, TRANSFER, SAVE_LEAD)
"""Names of the tools that the service has itself."""
UNKNOWN: Final = "unknown"
"""Stands in metrics and events for a tool that there is not, so no tool has this name."""

MOST: Final = 32
"""Tools of one agent, and lead fields."""
LONGEST_S: Final = 20.0
"""Seconds that a tool may be given."""
LARGEST_SCHEMA: Final = 16 * 1024
LONGEST_DESCRIPTION: Final = 1000

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as OpenAI takes it
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_ARGUMENTS: Final = msgspec.Raw(b'{"type":"object","properties":{}}')


class ToolDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A tool that the model may call: one of the user's own behind a URL, or a built-in one by its name alone.

    Written in JSON with names in camel case: `timeoutSeconds`. Raises `ValueError`, a sentence, for one that cannot
    work.
    """

    name: str
    description: str = ""
    """The purpose of the tool, for the model."""
    parameters: msgspec.Raw = _NO_ARGUMENTS
    """JSON Schema of the arguments: an object. See `batkol.tools.schema` for what it may say."""
    url: str = ""
    """The webhook that carries it out; empty for a built-in tool."""
    token_env: str = ""
    """The environment variable with the bearer token for the webhook."""
    secret_env: str = ""
    """The environment variable with the secret of Standard Webhooks, `whsec_…`, that signs the requests."""
    timeout_seconds: float = 5.0
    speculative: Literal[False] = False
    """Always false: nothing is carried out before the caller's turn is over."""

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises `ValueError`."""
        if not _NAME.fullmatch(self.name):
            raise ValueError("name of a tool must have 1 to 64 of the characters a-z, A-Z, 0-9, _ and -")
        if self.name == UNKNOWN:
            raise ValueError(f"name of a tool must not be {UNKNOWN}")
        if len(self.description) > LONGEST_DESCRIPTION:
            raise ValueError(f"description of {self.name} has more than {LONGEST_DESCRIPTION} characters")
        if self.name in BUILT_IN:
            if self.url or self.parameters != _NO_ARGUMENTS or self.token_env or self.secret_env:
                raise ValueError(f"{self.name} is a built-in tool: it has a name and a description only")
            return
        _check_webhook(self)


def check_tools(tools: Sequence[ToolDefinition]) -> None:
    """Refuse tools that cannot be offered together. Raises `ValueError`, a sentence."""
    if len(tools) > MOST:
        raise ValueError(f"there are more than {MOST} tools")
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"there are two tools with the name {name}")


def check_lead_fields(fields: Mapping[str, Any]) -> None:
    """Refuse lead fields that no lead can have. Raises `ValueError`, a sentence."""
    if len(fields) > MOST:
        raise ValueError(f"there are more than {MOST} lead fields")
    for name, field in fields.items():
        if not _NAME.fullmatch(name):
            raise ValueError("the name of a lead field must have 1 to 64 of the characters a-z, A-Z, 0-9, _ and -")
        if not isinstance(field, str | dict):
            raise ValueError(f"the lead field {name} is no JSON Schema, and no text that says what it is")  # noqa: TRY004
    check_schema(lead_schema(fields), "the lead fields")
    if len(msgspec.json.encode(fields)) > LARGEST_SCHEMA:
        raise ValueError(f"the lead fields have more than {LARGEST_SCHEMA} bytes")


def lead_schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a lead: some of its fields, and no other. A text in the place of a schema says what a
    field is: that one is a text.
    """
    properties = {
        name: {"type": "string", "description": field} if isinstance(field, str) else field
        for name, field in fields.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}


def _check_webhook(tool: ToolDefinition) -> None:
    if not tool.url:
        raise ValueError(f"{tool.name} has no url, and is none of the built-in tools {', '.join(BUILT_IN)}")
    try:
        check_http(tool.url)
    except ValueError as error:
        raise ValueError(f"url of {tool.name} {error}") from None
    if not 0 < tool.timeout_seconds <= LONGEST_S:
        raise ValueError(f"timeoutSeconds of {tool.name} must be more than 0 and at most {LONGEST_S:g}")
    for variable in filter(None, (tool.token_env, tool.secret_env)):
        if not _VARIABLE.fullmatch(variable):
            raise ValueError(f"tokenEnv or secretEnv of {tool.name} is no name of an environment variable")
    _check_parameters(tool.parameters, tool.name)


def _check_parameters(parameters: msgspec.Raw, name: str) -> None:
    if len(bytes(parameters)) > LARGEST_SCHEMA:
        raise ValueError(f"parameters of {name} have more than {LARGEST_SCHEMA} bytes")
    schema = msgspec.json.decode(parameters)
    check_schema(schema, f"parameters of {name}")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ValueError(f'parameters of {name} must have "type": "object"')
