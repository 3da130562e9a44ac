"""Definitions of tools: what is taken, and the sentence for what is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from batkol.tools.definition import MOST, ToolDefinition, check_lead_fields, check_tools, lead_schema

BOOK: dict[str, Any] = {"name": "book", "url": "https://tools.example/book"}


def read(**written: Any) -> ToolDefinition:
    return msgspec.json.decode(msgspec.json.encode(written), type=ToolDefinition)


def test_a_definition_is_written_in_camel_case_and_has_its_defaults() -> None:
    tool = read(
        **BOOK, description="Books.", parameters={"type": "object"}, tokenEnv="TOOL_T", secretEnv="TOOL_S",
        timeoutSeconds=2, speculative=False,
    )  # fmt: skip

    assert (tool.token_env, tool.secret_env, tool.timeout_seconds) == ("TOOL_T", "TOOL_S", 2)
    assert read(**BOOK).timeout_seconds == 5
    assert read(name="hang_up", description="Ends it.").url == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "קבע"}, "name of a tool must have 1 to 64 of the characters"),
        ({"name": "unknown"}, "name of a tool must not be unknown"),
        ({"name": "hang_up"}, "hang_up is a built-in tool"),
        ({"url": ""}, "book has no url"),
        ({"url": "ftp://x"}, "url of book must be https://"),
        ({"timeoutSeconds": 0}, "timeoutSeconds of book must be more than 0 and at most 20"),
        ({"timeoutSeconds": 21}, "timeoutSeconds of book"),
        ({"tokenEnv": "A TOKEN"}, "tokenEnv or secretEnv of book is no name"),
        ({"parameters": {"type": "array"}}, 'parameters of book must have "type": "object"'),
        ({"parameters": {"type": "object", "properties": {"a": {"format": "x", "if": {}}}}}, "the keyword if"),
        ({"parameters": {"type": "object", "description": "x" * 20_000}}, "have more than 16384 bytes"),
        ({"description": "x" * 1001}, "description of book has more than 1000"),
        ({"speculative": True}, "speculative"),
        ({"method": "GET"}, "method"),
    ],
    ids=str,
)
def test_a_tool_that_cannot_work_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        read(**{**BOOK, **changes})


def test_tools_that_cannot_be_told_apart_are_refused() -> None:
    tool = read(**BOOK)
    with pytest.raises(ValueError, match="two tools with the name book"):
        check_tools([tool, tool])
    with pytest.raises(ValueError, match=f"more than {MOST} tools"):
        check_tools([tool] * (MOST + 1))


def test_a_lead_field_is_a_schema_or_a_text_that_says_what_it_is() -> None:
    fields = {"name": "The caller's name", "seats": {"type": "integer"}}
    check_lead_fields(fields)

    assert lead_schema(fields)["properties"] == {
        "name": {"type": "string", "description": "The caller's name"}, "seats": {"type": "integer"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"שם": "x"}, "the name of a lead field"),
        ({"name": 7}, "the lead field name is no JSON Schema"),
        ({"name": {"type": "text"}}, "type of name of the lead fields"),
        ({"name": {"$ref": "#/$defs/a", "$defs": {"a": {}}}}, "names nothing under"),
        ({f"f{at}": "x" for at in range(MOST + 1)}, f"more than {MOST} lead fields"),
        ({"name": "x" * 20_000}, "have more than"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_lead_fields_that_no_lead_can_have_are_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_lead_fields(fields)
