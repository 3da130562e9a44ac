"""The request of a question, and the text of a stream of chunks, tidy or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from batkol.answering.answerer import (
    AnswererError,
    HistoryMessage,
    Question,
    Role,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from batkol.answering.chat import LARGEST, LONGEST_TEXT, ChatStream, limit_of_tokens, request_body
from batkol.simulators.llm.requests import read

SECRET = "שלום עולם"


def chunk(delta: object = None, **choice: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta or {}, "finish_reason": None, **choice}]})


def event(content: object) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STOP = chunk(finish_reason="stop")


def texts(stream: ChatStream, *pieces: bytes) -> list[str]:
    return [text for piece in pieces for text in stream.feed(piece)]


def whole(*pieces: bytes) -> tuple[list[str], ChatStream]:
    """Read an answer whole and byte by byte; both must be the same."""
    once, again, answer = ChatStream("x"), ChatStream("x"), b"".join(pieces)
    found = texts(once, answer)
    assert texts(again, *(answer[at : at + 1] for at in range(len(answer)))) == found
    ends = [(each.done, each.finish_reason, each.calls.whole(), each.usage) for each in (once, again)]
    assert ends[0] == ends[1]
    return found, once


def failure(*pieces: bytes) -> AnswererError:
    stream = ChatStream("The answerer x")

    def read() -> None:
        texts(stream, *pieces)
        stream.end()

    with pytest.raises(AnswererError) as raised:
        read()
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    return raised.value


def test_a_question_is_asked_with_prompt_history_and_text() -> None:
    history = (HistoryMessage(Role.CALLER, "שלום"), HistoryMessage(Role.AGENT, ""), HistoryMessage(Role.AGENT, "היי"))
    question = Question(text="מה השעה?", history=history)

    body = json.loads(request_body(question, model="m", prompt="ענה", options={"max_tokens": 9, "temperature": 0.5}))

    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "ענה"},
            {"role": "user", "content": "שלום"},
            {"role": "assistant", "content": "היי"},
            {"role": "user", "content": "מה השעה?"},
        ],
        "stream": True,
        "max_tokens": 9,
        "temperature": 0.5,
    }


def test_the_questions_own_prompt_comes_first_and_none_is_none() -> None:
    asked = json.loads(request_body(Question(text="א", prompt="שלה"), model="m", prompt="שלו", options={}))
    bare = json.loads(request_body(Question(text="א"), model="m", prompt="", options={}))

    assert asked["messages"][0] == {"role": "system", "content": "שלה"}
    assert bare["messages"] == [{"role": "user", "content": "א"}]


@pytest.mark.parametrize(
    ("model", "name"),
    [("gpt-4.1", "max_tokens"), ("gpt-oss-120b", "max_tokens"), ("gpt-5.1", "max_completion_tokens"),
     ("openai/gpt-5-mini", "max_completion_tokens"), ("o3-mini", "max_completion_tokens"), ("olmo", "max_tokens")],
)  # fmt: skip
def test_the_limit_of_tokens_has_the_name_that_the_model_takes(model: str, name: str) -> None:
    assert limit_of_tokens(model, 7) == {name: 7}


def test_the_text_of_an_answer_comes_in_its_pieces() -> None:
    role = chunk({"role": "assistant", "content": ""})

    found, stream = whole(role, chunk({"content": "של"}), chunk({"content": "ום"}), STOP, DONE)

    assert found == ["של", "ום"]
    assert (stream.done, stream.finish_reason, stream.characters) == (True, "stop", 4)
    stream.end()


@pytest.mark.parametrize(
    "silent",
    [
        event({"choices": [], "usage": {"total_tokens": 7}}),
        event({"choices": None}),
        event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        event({}),
        chunk({"role": "assistant"}),
        chunk({"role": "assistant", "content": None}),
        chunk({"content": ""}),
        event({"choices": [{"index": 0, "delta": None, "finish_reason": ""}]}),
        event({"choices": [{}]}),
        chunk({"reasoning_content": "הממ"}),
        chunk({"content": "אחר"}, index=1),
        event({"error": None, "choices": []}),
        b": ping\n\n",
        b"event: ping\n\n",
    ],
    ids=lambda silent: silent.decode()[:40],
)
def test_a_chunk_without_text_says_nothing(silent: bytes) -> None:
    found, stream = whole(silent, chunk({"content": "כן"}), silent, STOP, silent, DONE)

    assert found == ["כן"]
    stream.end()


def test_tool_calls_are_put_together_and_not_said() -> None:
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a'}}]}
    more = {"tool_calls": [{"index": 0, "function": {"arguments": '": 1}'}}]}

    found, stream = whole(chunk(call), chunk(more), chunk({"tool_calls": []}), chunk(finish_reason="tool_calls"), DONE)

    assert (found, stream.calls.whole()) == ([], (ToolCall("c", "f", '{"a": 1}'),))
    stream.end()


def test_more_tool_calls_or_arguments_than_an_answer_may_have_are_refused() -> None:
    many = [chunk({"tool_calls": [{"index": at, "id": f"c{at}", "function": {"name": "f"}}]}) for at in range(9)]
    long = chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": SECRET * 1000}}]})

    assert failure(*many).reason == "too_many_calls"
    assert failure(long, long).reason == "too_long"


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}, Usage(12, 3)),
        ({"prompt_tokens": 12.0, "completion_tokens": None}, Usage(12, 0)),
        ({"prompt_tokens": "many"}, None),
        (None, None),
    ],
    ids=str,
)
def test_usage_comes_in_a_chunk_without_choices_and_costs_no_answer(usage: object, found: Usage | None) -> None:
    texts_, stream = whole(chunk({"content": "כן"}), STOP, event({"choices": [], "usage": usage}), DONE)

    assert (texts_, stream.usage) == (["כן"], found)
    stream.end()


def test_tools_and_what_came_of_them_are_part_of_the_request() -> None:
    earlier = ToolResult(ToolCall("a", "look", "{}"), "3")
    history = (
        HistoryMessage(Role.CALLER, "שלום"),
        HistoryMessage(Role.AGENT, "", (earlier,)),
        HistoryMessage(Role.AGENT, "היי", (earlier,)),
    )
    question = Question(
        text="מחר", history=history, said="רגע.",
        tools=(Tool("book", "Books.", Raw(b'{"type": "object"}')), Tool("look", "", Raw(b'{"type": "object"}'))),
        results=(ToolResult(ToolCall("", "book", '{"day": 1}'), "done"), ToolResult(ToolCall("", "book", "no"), "bad")),
    )  # fmt: skip

    body = json.loads(request_body(question, model="m", prompt="", options={}))

    def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    asked = {"role": "assistant", "content": None, "tool_calls": [call("a", "look", "{}")]}
    told = {"role": "tool", "tool_call_id": "a", "content": "3"}
    assert body["messages"] == [
        {"role": "user", "content": "שלום"},
        asked, told,
        asked, told, {"role": "assistant", "content": "היי"},
        {"role": "user", "content": "מחר"},
        {
            "role": "assistant", "content": "רגע.",
            "tool_calls": [call("call_0", "book", '{"day": 1}'), call("call_1", "book", "{}")],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "done"},
        {"role": "tool", "tool_call_id": "call_1", "content": "bad"},
    ]  # fmt: skip
    book, look = body["tools"]
    assert book == {
        "type": "function", "function": {"name": "book", "description": "Books.", "parameters": {"type": "object"}},
    }  # fmt: skip
    assert look["function"] == {"name": "look", "parameters": {"type": "object"}}
    read(json.dumps(body).encode(), ())  # as strictly as OpenAI


@pytest.mark.parametrize("ending", [STOP, DONE, STOP + DONE, chunk(finish_reason="length")])
def test_an_answer_ends_with_a_finish_reason_or_done(ending: bytes) -> None:
    found, stream = whole(chunk({"content": "כן"}), ending)

    assert found == ["כן"]
    stream.end()


def test_nothing_counts_after_done() -> None:
    found, stream = whole(chunk({"content": "כן"}), DONE, b"data: nonsense\n\n", chunk({"content": "לא"}))

    assert found == ["כן"]
    stream.end()


def test_an_answer_that_breaks_off_is_cut_off() -> None:
    error = failure(chunk({"content": SECRET}))

    assert (error.reason, error.retryable) == ("cut_off", True)


def test_an_empty_body_is_malformed() -> None:
    assert failure().reason == "malformed"


def test_an_answer_that_a_filter_ended_is_an_error_after_its_text() -> None:
    error = failure(chunk({"content": SECRET}), chunk(finish_reason="content_filter"), DONE)

    assert (error.reason, error.retryable) == ("content_filter", False)


@pytest.mark.parametrize(
    "bad",
    [
        b"data: %s\n\n" % SECRET.encode(),
        b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n',
        b"data: []\n\n",
        event({"choices": [{"delta": {"content": [SECRET]}}]}),
        event({"choices": SECRET}),
        b"data: " + b"[" * 99_999 + b"\n\n",
        b'data: {"choices": [{"delta": {"content": "\xd7\n\n',
    ],
    ids=lambda bad: repr(bad[:40]),
)
def test_a_chunk_that_is_not_its_json_is_malformed_after_the_text_before_it(bad: bytes) -> None:
    fed = ChatStream("x").feed(chunk({"content": "כן"}) + bad)

    assert next(fed) == "כן"
    with pytest.raises(AnswererError) as raised:
        next(fed)
    assert (raised.value.reason, raised.value.retryable) == ("malformed", False)
    assert SECRET not in str(raised.value)


def test_an_error_inside_the_stream_ends_it_after_its_text() -> None:
    error = event({"error": {"message": SECRET, "type": "server_error", "code": None}})

    assert failure(chunk({"content": "כן"}), error).reason == "server_error"


def test_an_answer_without_an_end_is_given_up() -> None:
    silent = chunk({"role": "assistant"}) * 100
    piece = chunk({"content": "מילה " * 20})

    assert failure(*[silent] * (LARGEST // len(silent) + 1)).reason == "too_long"
    assert failure(*[piece] * (LONGEST_TEXT // 100 + 1)).reason == "too_long"
    assert failure(b"data: " + b"a" * 300_000).reason == "too_long"
