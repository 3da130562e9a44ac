"""The tools that an answerer is offered: the built-in ones, and the user's own."""

from __future__ import annotations

from typing import Any

import msgspec

from batkol.answering.answerer import Tool
from batkol.conversation.agent import AgentSettings
from batkol.conversation.tools.built_in import built_in
from batkol.tools.definition import BUILT_IN, ToolDefinition


class OfferedTool(msgspec.Struct, frozen=True):
    """A tool as the answerer sees it, the schema of its arguments, and its webhook; None for a built-in one."""

    tool: Tool
    schema: Any
    definition: ToolDefinition | None = None


def offered(settings: AgentSettings) -> dict[str, OfferedTool]:
    """Return the tools of an agent by their names: the built-in ones, and the user's own."""
    found = {
        each.name: OfferedTool(
            Tool(each.name, each.description, msgspec.Raw(msgspec.json.encode(each.schema))), each.schema
        )
        for each in built_in(settings)
    }
    for each in settings.tools:
        if each.name not in BUILT_IN:
            tool = Tool(each.name, each.description, each.parameters)
            found[each.name] = OfferedTool(tool, msgspec.json.decode(each.parameters), each)
    return found
