"""The tools of a request, and the messages of tool calls and their results, read as strictly as OpenAI reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from batkol.simulators.llm.refusals import ChatRefusalError

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")
_LONGEST_NAME: Final = 64
_LONGEST_ID: Final = 40
_MOST: Final = 128


class UsedTool(msgspec.Struct, frozen=True):
    """A tool call in a message of the assistant."""

    id: str
    name: str
    arguments: str


class Told(Protocol):
    """A message of a request."""

    @property
    def role(self) -> str: ...
    @property
    def calls(self) -> Sequence[UsedTool]: ...
    @property
    def tool_call_id(self) -> str: ...


def read_tools(given: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the tools that are offered. Raises `ChatRefusalError`."""
    tools = given.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if given.get(name) is not None:
                raise _refused(f"'{name}' is only allowed when 'tools' are specified.", name)
        return ()
    if not isinstance(tools, list):
        raise _refused("Invalid type for 'tools': expected an array of objects.", "tools", "invalid_type")
    if not tools:
        raise _refused(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "tools",
            "empty_array",
        )
    if len(tools) > _MOST:
        raise _refused(f"Invalid 'tools': array too long. Expected at most {_MOST}.", "tools", "array_above_max_length")
    return tuple(_tool(f"tools[{at}]", tool) for at, tool in enumerate(tools))


def _tool(where: str, tool: Any) -> str:
    if not isinstance(tool, dict) or "type" not in tool:
        raise _missing(f"{where}.type")
    function = tool.get("function")
    if tool["type"] != "function":
        raise _refused(
            f"Invalid value: '{tool['type']}'. Supported values are: 'function'.", f"{where}.type", "invalid_value"
        )
    if not isinstance(function, dict):
        raise _missing(f"{where}.function")
    if not isinstance(function.get("name"), str):
        raise _missing(f"{where}.function.name")
    if unknown := sorted(set(function) - {"name", "description", "parameters", "strict"}):
        where = f"{where}.function.{unknown[0]}"
        raise _refused(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
    name: str = function["name"]
    _check_name(f"{where}.function.name", name)
    parameters = function.get("parameters")
    if parameters is not None and (not isinstance(parameters, dict) or parameters.get("type") != "object"):
        got = parameters.get("type") if isinstance(parameters, dict) else None
        raise _refused(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: "
            f'"{got}"\'.',
            f"{where}.function.parameters",
            "invalid_function_parameters",
        )
    return name


def read_calls(where: str, calls: Any) -> tuple[UsedTool, ...]:
    """Return the tool calls of an assistant's message. Raises `ChatRefusalError`."""
    if calls is None:
        return ()
    if not isinstance(calls, list) or not calls:
        raise _refused(
            f"Invalid '{where}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            where,
            "empty_array",
        )
    return tuple(_call(f"{where}[{at}]", call) for at, call in enumerate(calls))


def _call(where: str, call: Any) -> UsedTool:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise _missing(f"{where}.function")
    for name, value in (
        (f"{where}.id", call.get("id")),
        (f"{where}.type", call.get("type")),
        (f"{where}.function.name", function.get("name")),
        (f"{where}.function.arguments", function.get("arguments")),
    ):
        if not isinstance(value, str):
            raise _missing(name)
    if len(call["id"]) > _LONGEST_ID:
        raise _refused(
            f"Invalid '{where}.id': string too long. Expected a string with maximum length {_LONGEST_ID}, but got a "
            f"string with length {len(call['id'])} instead.",
            f"{where}.id",
            "string_above_max_length",
        )
    _check_name(f"{where}.function.name", function["name"])
    return UsedTool(call["id"], function["name"], function["arguments"])


def check_order(messages: Sequence[Told]) -> None:
    """Refuse results that belong to no call before them, and calls without a result. Raises `ChatRefusalError`."""
    waiting: list[str] = []
    after_calls = False
    for at, message in enumerate(messages):
        if message.role == "tool":
            if not after_calls or message.tool_call_id not in waiting:
                raise _refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    f"messages.[{at}].role",
                )
            waiting.remove(message.tool_call_id)
            continue
        _check_answered(waiting)
        waiting = [call.id for call in message.calls]
        after_calls = bool(waiting)
    _check_answered(waiting)


def _check_answered(waiting: list[str]) -> None:
    if waiting:
        raise _refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            "messages",
        )


def _check_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _refused(
            f"Invalid '{where}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            where,
            "invalid_value",
        )
    if len(name) > _LONGEST_NAME:
        raise _refused(
            f"Invalid '{where}': string too long. Expected a string with maximum length {_LONGEST_NAME}, but got a "
            f"string with length {len(name)} instead.",
            where,
            "string_above_max_length",
        )


def _missing(name: str) -> ChatRefusalError:
    return _refused(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def _refused(message: str, param: str, code: str | None = None) -> ChatRefusalError:
    return ChatRefusalError(message, param=param, code=code)
