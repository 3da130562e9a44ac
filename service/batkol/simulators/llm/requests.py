"""Requests for a completion, read as strictly as OpenAI reads them, and refused in its words.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from batkol.answers import UNREADABLE
from batkol.simulators.llm.refusals import ChatRefusalError
from batkol.simulators.llm.tool_requests import UsedTool, check_order, read_calls, read_tools

_ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")
_JSON_TYPES: Final[Mapping[type, str]] = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a decimal",
    type(None): "null",
}  # fmt: skip
_NEEDS_COMPLETION_TOKENS: Final = re.compile(r"(gpt-5|o[1-9])")


class _Number(NamedTuple):
    least: float
    most: float
    whole: bool = False


_NUMBERS: Final[Mapping[str, _Number]] = {
    "temperature": _Number(0, 2),
    "top_p": _Number(0, 1),
    "frequency_penalty": _Number(-2, 2),
    "presence_penalty": _Number(-2, 2),
    "max_tokens": _Number(1, 1 << 31, whole=True),
    "max_completion_tokens": _Number(1, 1 << 31, whole=True),
    "n": _Number(1, 1, whole=True),  # the double gives one choice only
    "seed": _Number(-(1 << 63), (1 << 63) - 1, whole=True),
}
_OTHERS: Final = frozenset([
    "model", "messages", "stream", "stream_options", "stop", "tools", "tool_choice", "parallel_tool_calls", "user",
    "response_format", "reasoning_effort", "verbosity", "metadata", "store", "service_tier", "logit_bias", "logprobs",
    "top_logprobs", "safety_identifier", "prompt_cache_key", "prediction", "modalities",
])  # fmt: skip


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a request."""

    role: str
    content: str
    """The text; several parts are joined."""
    calls: tuple[UsedTool, ...] = ()
    """Tool calls of the assistant."""
    tool_call_id: str = ""
    """The tool call that a result belongs to."""


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is accepted."""

    model: str
    messages: tuple[ChatMessage, ...]
    stream: bool
    include_usage: bool
    most_tokens: int | None
    tools: tuple[str, ...] = ()
    """Names of the tools that the model may call."""

    @property
    def text(self) -> str:
        """The newest message of the user, "" if there is none."""
        return next((each.content for each in reversed(self.messages) if each.role == "user"), "")

    @property
    def result(self) -> str | None:
        """The newest result of a tool, if the request ends in results."""
        newest = self.messages[-1]
        return newest.content if newest.role == "tool" else None


def read(body: bytes, models: tuple[str, ...]) -> ChatRequest:
    """Read a request. Raises `ChatRefusalError`."""
    try:
        given = msgspec.json.decode(body)
    except UNREADABLE:
        given = None
    if not isinstance(given, dict):
        raise ChatRefusalError(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
        )
    for name in given:
        if name not in _NUMBERS and name not in _OTHERS:
            raise ChatRefusalError(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    model = _model(given.get("model"), models)
    messages = _messages(given)
    for name, allowed in _NUMBERS.items():
        _check_number(name, given.get(name), allowed)
    stream = _flag(given, "stream")
    return ChatRequest(
        model=model,
        messages=messages,
        stream=stream,
        include_usage=_includes_usage(given.get("stream_options"), stream=stream),
        most_tokens=_most_tokens(given, model),
        tools=read_tools(given),
    )


def _model(model: Any, models: tuple[str, ...]) -> str:
    if model is None or model == "":
        raise ChatRefusalError("you must provide a model parameter")
    if not isinstance(model, str):
        raise _wrong_type("model", "a string", model)
    if models and model not in models:
        raise ChatRefusalError(
            f"The model `{model}` does not exist or you do not have access to it.", status=404, code="model_not_found"
        )
    return model


def _messages(given: dict[str, Any]) -> tuple[ChatMessage, ...]:
    if "messages" not in given:
        raise ChatRefusalError(
            "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    messages = given["messages"]
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise ChatRefusalError(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    read = tuple(_message(f"messages[{at}]", message) for at, message in enumerate(messages))
    check_order(read)
    return read


def _message(where: str, message: Any) -> ChatMessage:
    if not isinstance(message, dict):
        raise _wrong_type(where, "an object", message)
    if "role" not in message:
        raise ChatRefusalError(
            f"Missing required parameter: '{where}.role'.", param=f"{where}.role", code="missing_required_parameter"
        )
    role = message["role"]
    if role not in _ROLES:
        supported = "', '".join(_ROLES[:-1])
        raise ChatRefusalError(
            f"Invalid value: '{role}'. Supported values are: '{supported}', and '{_ROLES[-1]}'.",
            param=f"{where}.role",
            code="invalid_value",
        )
    content = message.get("content")
    calls = read_calls(f"{where}.tool_calls", message.get("tool_calls")) if role == "assistant" else ()
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        where = f"{where}.tool_call_id"
        raise ChatRefusalError(
            f"Missing required parameter: '{where}'.", param=where, code="missing_required_parameter"
        )
    if content is None and calls:
        return ChatMessage(role, "", calls)
    return ChatMessage(role, _content(f"{where}.content", content), calls, message.get("tool_call_id", ""))


def _content(where: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(f"{where}[{at}]", part) for at, part in enumerate(content))
    if content is None:
        raise ChatRefusalError(f"Invalid value for 'content': expected a string, got null. ({where})", param=where)
    raise _wrong_type(where, "one of a string or array of objects", content)


def _part(where: str, part: Any) -> str:
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise ChatRefusalError(
            f"Invalid value: '{where}'. The double takes text parts.", param=where, code="invalid_value"
        )
    text: str = part["text"]
    return text


def _check_number(name: str, value: Any, allowed: _Number) -> None:
    if value is None:
        return
    kind = "integer" if allowed.whole else "decimal"
    right = isinstance(value, int) if allowed.whole else isinstance(value, int | float)
    if not right or isinstance(value, bool):
        raise _wrong_type(name, f"an {kind}" if allowed.whole else f"a {kind}", value)
    if allowed.least <= value <= allowed.most:
        return
    which, sign, bound = (
        ("below minimum", ">=", allowed.least) if value < allowed.least else ("above maximum", "<=", allowed.most)
    )
    raise ChatRefusalError(
        f"Invalid '{name}': {kind} {which} value. Expected a value {sign} {bound:g}, but got {value} instead.",
        param=name,
        code=f"{kind}_{which.replace(' ', '_')}_value".replace("minimum", "min").replace("maximum", "max"),
    )


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong_type(name, "a boolean", value)
    return bool(value)


def _includes_usage(options: Any, *, stream: bool) -> bool:
    if options is None:
        return False
    if not stream:
        raise ChatRefusalError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if not isinstance(options, dict):
        raise _wrong_type("stream_options", "an object", options)
    return _flag(options, "include_usage")


def _most_tokens(given: dict[str, Any], model: str) -> int | None:
    old, new = given.get("max_tokens"), given.get("max_completion_tokens")
    if old is not None and new is not None:
        raise ChatRefusalError(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    if old is not None and _NEEDS_COMPLETION_TOKENS.match(model.rpartition("/")[2]):
        raise ChatRefusalError(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    most: int | None = old if old is not None else new
    return most


def _wrong_type(name: str, expected: str, value: Any) -> ChatRefusalError:
    got = _JSON_TYPES[type(value)]
    return ChatRefusalError(
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.", param=name, code="invalid_type"
    )
