"""The tools that the service has itself, as the model is offered them. None of them has a telephone number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from batkol.conversation.agent import AgentSettings
from batkol.tools.definition import BUILT_IN, HANG_UP, SAVE_LEAD, TRANSFER, lead_schema

LABEL: Final = "label"
"""The argument of `transfer`."""

_NO_ARGUMENTS: Final = {"type": "object", "properties": {}, "additionalProperties": False}
_PURPOSES: Final = {
    HANG_UP: (
        "Ends the telephone call. Say goodbye in the same answer: it is spoken to its end before the call ends. Call "
        "this tool only when the caller has nothing more to ask."
    ),
    TRANSFER: (
        "Transfers the caller to a person or a department. Say so in the same answer: it is spoken to its end before "
        "the transfer."
    ),
    SAVE_LEAD: "Saves what the caller has said of themselves or wants. Call it as soon as a field is known.",
}


class BuiltIn:
    """One built-in tool, as the model gets it."""

    def __init__(self, name: str, description: str, schema: dict[str, Any]) -> None:
        self.name = name
        self.description = description or _PURPOSES[name]
        self.schema = schema


def built_in(settings: AgentSettings) -> Iterator[BuiltIn]:
    """Yield those that this agent has: `hang_up` and `transfer` where they are named, and `save_lead` for its fields.

    A `transfer` without a label to transfer to is left out, and so is a `save_lead` without a field.
    """
    named: Mapping[str, str] = {tool.name: tool.description for tool in settings.tools if tool.name in BUILT_IN}
    if HANG_UP in named:
        yield BuiltIn(HANG_UP, named[HANG_UP], _NO_ARGUMENTS)
    if TRANSFER in named and settings.transfers:
        labels = {"type": "string", "enum": list(settings.transfers)}
        schema = {**_NO_ARGUMENTS, "properties": {LABEL: labels}, "required": [LABEL]}
        yield BuiltIn(TRANSFER, named[TRANSFER], schema)
    if settings.lead_fields:
        yield BuiltIn(SAVE_LEAD, named.get(SAVE_LEAD, ""), lead_schema(settings.lead_fields))
