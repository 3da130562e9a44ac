"""What OpenAI refuses, the double refuses, in the same words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batkol.simulators.llm.refusals import ChatRefusalError
from batkol.simulators.llm.requests import ChatMessage, read
from batkol.simulators.llm.tool_requests import UsedTool

GOOD: dict[str, Any] = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "שלום"}]}


CALL: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "3"}


def tool(**changes: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, **changes}}


TOOL = tool()


def body(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def test_a_request_is_read() -> None:
    messages = [
        {"role": "developer", "content": "ענה"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "3"},
        {"role": "user", "content": [{"type": "text", "text": "של"}, {"type": "text", "text": "ום"}]},
    ]
    found = read(body(messages=messages, stream=True, stream_options={"include_usage": True}, max_tokens=7), ())

    assert found.messages == (
        ChatMessage("developer", "ענה"),
        ChatMessage("assistant", "", (UsedTool("c", "look", "{}"),)),
        ChatMessage("tool", "3", tool_call_id="c"),
        ChatMessage("user", "שלום"),
    )
    assert (found.text, found.stream, found.include_usage, found.most_tokens) == ("שלום", True, True, 7)


def test_a_request_that_ends_in_results_says_so() -> None:
    messages = [*GOOD["messages"], {"role": "assistant", "content": "רגע", "tool_calls": [CALL]}, RESULT]
    found = read(body(messages=messages, tools=[TOOL], tool_choice="auto"), ())

    assert (found.text, found.result, found.tools) == ("שלום", "3", ("look",))
    assert read(body(messages=[*messages, {"role": "user", "content": "תודה"}]), ()).result is None


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([RESULT], "must be a response to a preceeding message"),
        ([{"role": "assistant", "tool_calls": [CALL]}], "did not have response messages: c"),
        ([{"role": "assistant", "tool_calls": [CALL]}, *GOOD["messages"], RESULT], "did not have response messages: c"),
        ([{"role": "assistant", "tool_calls": [CALL]}, RESULT, RESULT], "must be a response to a preceeding message"),
        ([{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "3"}], "'messages[1].tool_call_id'"),
        ([{"role": "assistant", "tool_calls": []}], "Invalid 'messages[0].tool_calls': empty array"),
        ([{"role": "assistant", "tool_calls": [{**CALL, "id": None}]}], "'messages[0].tool_calls[0].id'"),
        ([{"role": "assistant", "tool_calls": [{**CALL, "id": "c" * 41}]}], "string too long"),
        ([{"role": "assistant", "tool_calls": [{"id": "c"}]}], "'messages[0].tool_calls[0].function'"),
    ],
    ids=str,
)
def test_tool_calls_and_results_belong_together(messages: list[Any], message: str) -> None:
    with pytest.raises(ChatRefusalError) as refused:
        read(body(messages=messages), ())

    assert message in str(refused.value)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"tools": []}, "tools", "empty_array"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [{"function": {"name": "look"}}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [{"type": "web"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "function", "name": "look"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [tool(name="קבע")]}, "tools[0].function.name", "invalid_value"),
        ({"tools": [tool(name="x" * 65)]}, "tools[0].function.name", "string_above_max_length"),
        ({"tools": [tool(url="x")]}, "tools[0].function.url", "unknown_parameter"),
        ({"tools": [tool(parameters={})]}, "tools[0].function.parameters", "invalid_function_parameters"),
        ({"tool_choice": "auto"}, "tool_choice", None),
    ],
    ids=str,
)
def test_a_tool_that_openai_refuses_is_refused(changes: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(ChatRefusalError) as refused:
        read(body(**changes), ())

    assert (refused.value.param, refused.value.code) == (param, code)


def test_what_is_null_is_not_given() -> None:
    found = read(body(stream=None, temperature=None, max_tokens=None, n=None, stream_options=None), ("gpt-4.1",))

    assert (found.stream, found.include_usage, found.most_tokens) == (False, False, None)


def of(role: Any = "user", content: Any = "א", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content, **more}]}


@pytest.mark.parametrize(
    ("changes", "message", "param", "code"),
    [
        ({"model": ...}, "you must provide a model parameter", None, None),
        ({"model": 7}, "Invalid type for 'model': expected a string, but got an integer", "model", "invalid_type"),
        ({"messages": ...}, "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"),
        ({"messages": []}, "Invalid 'messages': empty array", "messages", "empty_array"),
        ({"messages": "א"}, "expected an array of objects, but got a string", "messages", "invalid_type"),
        ({"messages": ["א"]}, "expected an object, but got a string", "messages[0]", "invalid_type"),
        ({"messages": [{"content": "א"}]}, "'messages[0].role'", "messages[0].role", "missing_required_parameter"),
        (of(role="robot"), "Invalid value: 'robot'. Supported values are:", "messages[0].role", "invalid_value"),
        (of(role=["user"]), "Invalid value", "messages[0].role", "invalid_value"),
        (of(content=None), "expected a string, got null", "messages[0].content", None),
        (of(role="assistant", content=None), "expected a string, got null", "messages[0].content", None),
        (of(content=7), "but got an integer", "messages[0].content", "invalid_type"),
        (of(content=[{"type": "video"}]), "Invalid value", "messages[0].content[0]", "invalid_value"),
        ({"stream": "yes"}, "expected a boolean, but got a string", "stream", "invalid_type"),
        ({"stream_options": {}}, "only allowed when 'stream' is enabled", "stream_options", None),
        ({"stream": True, "stream_options": 7}, "expected an object", "stream_options", "invalid_type"),
        ({"temperature": 3}, "decimal above maximum value. Expected a value <= 2, but got 3", "temperature",
         "decimal_above_max_value"),
        ({"temperature": "hot"}, "expected a decimal, but got a string", "temperature", "invalid_type"),
        ({"temperature": True}, "expected a decimal, but got a boolean", "temperature", "invalid_type"),
        ({"max_tokens": 0}, "integer below minimum value. Expected a value >= 1", "max_tokens",
         "integer_below_min_value"),
        ({"max_tokens": 1.5}, "expected an integer, but got a decimal", "max_tokens", "invalid_type"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "at the same time", None, "invalid_parameter_combination"),
        ({"model": "gpt-5.1", "max_tokens": 7}, "Use 'max_completion_tokens'", "max_tokens", "unsupported_parameter"),
        ({"warmth": 1}, "Unknown parameter: 'warmth'.", "warmth", "unknown_parameter"),
    ],
    ids=lambda part: str(part)[:40],
)  # fmt: skip
def test_a_request_that_openai_refuses_is_refused(
    changes: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    with pytest.raises(ChatRefusalError) as raised:
        read(body(**changes), ())

    assert message in str(raised.value)
    assert (raised.value.status, raised.value.param, raised.value.code) == (400, param, code)
    assert raised.value.body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 99_999])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ChatRefusalError, match="could not parse the JSON body"):
        read(raw, ())


def test_a_model_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(ChatRefusalError, match=r"`gpt-4\.1` does not exist") as raised:
        read(body(), ("gpt-4o",))

    assert (raised.value.status, raised.value.code) == (404, "model_not_found")
