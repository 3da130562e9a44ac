"""The wire of a bot that is asked by webhook: what it is sent, and what it may answer. Bytes in, parts out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.answering.answerer import (
    AnswererError,
    AnswerPart,
    HistoryMessage,
    Question,
    Role,
    Tool,
    ToolCall,
    ToolResult,
)
from batkol.answering.webhook_wire import LARGEST, LONGEST_TEXT, MOST_CALLS, reader, request_body

SCHEMA = msgspec.Raw(b'{"type":"object"}')
TOOL = {"name": "book", "description": "Books.", "parameters": {"type": "object"}}
EVENTS = "text/event-stream"
JSON = "application/json"


def read(body: bytes, kind: str, size: int = 1 << 30) -> list[AnswerPart]:
    """Return the parts of an answer that comes in pieces of that size."""
    answer = reader("The answerer webhook", kind)
    parts: list[AnswerPart] = []
    for start in range(0, len(body), size):
        parts += answer.feed(body[start : start + size])
    return [*parts, *answer.end()]


def data(part: Any) -> bytes:
    return json.dumps(part, ensure_ascii=False).encode()


def events(*parts: Any) -> bytes:
    return b"".join(b"data: %s\n\n" % data(part) for part in parts)


def test_a_bot_is_sent_the_turn_and_what_was_said_before_it() -> None:
    question = Question(
        text="מחר?",
        history=(
            HistoryMessage(Role.CALLER, "שלום"),
            HistoryMessage(Role.AGENT, " "),
            HistoryMessage(Role.AGENT, "כן"),
        ),
        prompt="קצר",
        call_sid="CA1",
        turn=2,
        tools=(Tool("book", "Books.", SCHEMA),),
    )
    assert json.loads(request_body(question)) == {
        "call": "CA1",
        "turn": 2,
        "text": "מחר?",
        "history": [{"role": "user", "text": "שלום"}, {"role": "assistant", "text": "כן"}],
        "tools": [TOOL],
        "language": "he-IL",
        "prompt": "קצר",
    }


def test_a_bot_is_sent_what_came_of_the_tools_of_earlier_turns() -> None:
    result = ToolResult(ToolCall("c", "book", '{"day": 1}'), "booked")
    question = Question(
        text="תודה", history=(HistoryMessage(Role.CALLER, "קבע"), HistoryMessage(Role.AGENT, "", (result,)))
    )

    assert json.loads(request_body(question))["history"] == [
        {"role": "user", "text": "קבע"},
        {
            "role": "assistant", "text": "",
            "results": [{"id": "c", "tool": "book", "arguments": {"day": 1}, "content": "booked"}],
        },
    ]  # fmt: skip


def test_a_bot_is_sent_what_came_of_its_tools() -> None:
    results = (
        ToolResult(ToolCall("c1", "book", '{"day": "מחר"}'), "done"),
        ToolResult(ToolCall("", "book", "{nonsense of another"), "failed"),
    )
    sent = json.loads(request_body(Question(text="מחר", said="רגע.", results=results)))
    assert sent["said"] == "רגע."
    assert sent["results"] == [
        {"id": "c1", "tool": "book", "arguments": {"day": "מחר"}, "content": "done"},
        {"id": "", "tool": "book", "arguments": "{nonsense of another", "content": "failed"},
    ]


CALL = {"tool": "book", "arguments": {"day": "מחר"}}
PARTS: list[AnswerPart] = ["שלום", ToolCall("", "book", '{"day": "מחר"}'), "רגע"]
ANSWERS = {
    "events": (
        EVENTS,
        events({"text": "שלום"}, CALL, {"text": "רגע", "more": 1}, {"end": True}),
    ),
    "events without an end": (EVENTS, events({"text": "שלום"}, CALL, {"text": "רגע"})),
    "a list": (
        JSON,
        b"[%s]" % b",".join(data(each) for each in ({"text": "שלום"}, CALL, {"text": "רגע"})),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(name: str, size: int) -> None:
    kind, body = ANSWERS[name]
    assert read(body, kind, size) == PARTS


@pytest.mark.parametrize("kind", ["", "text/plain", "text/plain; charset=UTF-8", 'Text/Plain;charset="utf-8"'])
def test_text_comes_as_it_is_written(kind: str) -> None:
    assert "".join(map(str, read("\ufeffכן, מחר.".encode(), kind, 1))) == "כן, מחר."


def test_what_comes_after_the_end_is_not_read() -> None:
    answer = reader("The answerer webhook", EVENTS)
    assert list(answer.feed(events({"text": "כן"}, {"end": True}, {"text": "לא"}))) == ["כן"]
    assert answer.done


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("text/html", b"<html>", "Content-Type"),
        ("text/plain; charset=windows-1255", b"", "not in UTF-8"),
        ("text/plain", b"\xff\xfe", "not in UTF-8"),
        ("text/plain", "כ".encode()[:1], "not in UTF-8"),
        ("text/plain", b" " * (LARGEST + 1), "longer than"),
        ("text/plain", b"a" * (LONGEST_TEXT + 1), "more than 50000 characters"),
        (EVENTS, b"data: hello\n\n", "no JSON object"),
        (EVENTS, b"data: [DONE]\n\n", "no JSON object"),
        (EVENTS, events({"choices": []}), "neither"),
        (EVENTS, events({"tool": "book", "arguments": "{}"}), "no JSON object"),
        (EVENTS, events(*[{"tool": "book"}] * (MOST_CALLS + 1)), "calls of tools"),
        (EVENTS, b"data: " + b"a" * (1 << 19), "no end"),
        (JSON, b"", "no JSON object"),
        (JSON, b'{"error": "secret"}', "neither"),
        (JSON, b'{"text": 7}', "no JSON object"),
        (JSON, b"[" * 100_000, "no JSON object"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_and_not_quoted(kind: str, body: bytes, says: str) -> None:
    with pytest.raises(AnswererError, match=says) as raised:
        read(body, kind)
    assert raised.value.reason in {"malformed", "too_long"}
    assert "The fault is the bot's" in str(raised.value)
    assert "secret" not in str(raised.value)


@given(st.binary(max_size=200), st.sampled_from([EVENTS, JSON, "text/plain"]))
def test_whatever_a_bot_answers_comes_to_an_end_or_to_an_error_of_ours(body: bytes, kind: str) -> None:
    try:
        parts = read(body, kind, 7)
    except AnswererError:
        return
    assert all(isinstance(part, str | ToolCall) for part in parts)
