"""The official client and ours ask the same server: it is served as OpenAI serves it, and both read the same text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from batkol.answering.answerer import HistoryMessage, Question, Role, Tool, ToolResult
from batkol.answering.answerer import ToolCall as Called
from batkol.answering.chat import ChatStream, request_body
from batkol.answering.openai import OpenAIAnswerer
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall, Untidy
from support.http.one_answer import answering, http

if TYPE_CHECKING:
    import openai

KEY = "sk-test"
ANSWER = "כן, יש תור פנוי מחר בשעה 8:00. להתראות!"
QUESTION = Question(
    text="יש תור?", prompt="ענה", history=(HistoryMessage(Role.CALLER, "שלום"), HistoryMessage(Role.AGENT, "היי"))
)
MESSAGES: list[Any] = [
    {"role": "system", "content": "ענה"}, {"role": "user", "content": "שלום"}, {"role": "assistant", "content": "היי"},
    {"role": "user", "content": "יש תור?"},
]  # fmt: skip


@asynccontextmanager
async def official(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        yield client


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[tuple[LLMDouble, str]]:
    async with LLMDouble(
        LLMSettings(**{"profile": "fixed:0", "tokens_per_s": 0, "api_key": KEY, **settings})
    ) as double:
        double.script(Rule("", ANSWER))
        yield double, await double.start()


async def by_official(url: str) -> list[str]:
    async with official(url) as client:
        stream = await client.chat.completions.create(
            model="gpt-4.1", messages=MESSAGES, max_tokens=300, stream=True, stream_options={"include_usage": True}
        )
        return [c.choices[0].delta.content async for c in stream if c.choices and c.choices[0].delta.content]


async def by_ours(url: str) -> list[str]:
    made = OpenAIAnswerer(url=url, model="gpt-4.1", api_key=KEY)
    try:
        async with aclosing(made.answer(QUESTION)) as texts:
            return [text async for text in texts if isinstance(text, str)]
    finally:
        await made.aclose()


@pytest.mark.parametrize("untidy", [{}, {"ragged": True, "null_content": True}], ids=["tidy", "untidy"])
async def test_both_send_the_same_request_and_read_the_same_text(untidy: dict[str, Any]) -> None:
    async with served(**untidy) as (double, url):
        theirs = await by_official(url)
        double.reset()
        double.script(Rule("", ANSWER))  # the first request again: the same tokens
        ours = await by_ours(url)

    assert ours == theirs
    assert "".join(ours) == ANSWER


async def test_both_write_the_same_parameters() -> None:
    async with answering(http("200 OK", b"data: [DONE]\n\n", "Content-Type: text/event-stream")) as (url, asked):
        await by_official(url)
        await by_ours(url)

    theirs, ours = (json.loads(request.partition(b"\r\n\r\n")[2]) for request in asked)
    assert ours == theirs
    options = {"max_tokens": 300, "stream_options": {"include_usage": True}}
    assert json.loads(request_body(QUESTION, model="gpt-4.1", prompt="", options=options)) == theirs


BOOK = Tool(
    "book", "Books an appointment.", msgspec.Raw(b'{"type": "object", "properties": {"day": {"type": "string"}}}')
)
CALLED = Called("call_1", "book", '{"day": "מחר"}')


async def test_both_write_the_same_request_with_tools_and_their_results() -> None:
    question = Question(
        text="קבע תור", tools=(BOOK,), said="רגע.", results=(ToolResult(CALLED, "נקבע"),),
    )  # fmt: skip
    async with answering(http("200 OK", b"data: [DONE]\n\n", "Content-Type: text/event-stream")) as (url, asked):
        async with official(url) as client:
            schema: Any = {"type": "object", "properties": {"day": {"type": "string"}}}
            stream = await client.chat.completions.create(
                model="gpt-4.1", max_tokens=300, stream=True, stream_options={"include_usage": True},
                messages=[
                    {"role": "user", "content": "קבע תור"},
                    {
                        "role": "assistant", "content": "רגע.",
                        "tool_calls": [
                            {"id": "call_1", "type": "function",
                             "function": {"name": "book", "arguments": CALLED.arguments}},
                        ],
                    },
                    {"role": "tool", "tool_call_id": "call_1", "content": "נקבע"},
                ],
                tools=[
                    {"type": "function",
                     "function": {"name": "book", "description": "Books an appointment.", "parameters": schema}},
                ],
            )  # fmt: skip
            async for _ in stream:
                pass
        made = OpenAIAnswerer(url=url, model="gpt-4.1", api_key=KEY)
        async with aclosing(made.answer(question)) as parts:
            async for _ in parts:
                pass
        await made.aclose()

    theirs, ours = (json.loads(request.partition(b"\r\n\r\n")[2]) for request in asked)
    assert ours == theirs


@pytest.mark.parametrize("untidy", [(), (Untidy.INTERLEAVED, Untidy.STOP)], ids=["tidy", "interleaved"])
async def test_both_read_the_same_tool_calls(untidy: tuple[Untidy, ...]) -> None:
    rule = Rule(
        "", "רגע.", tools=(ScriptedCall("book", '{"day": "מחר", "hour": 8}'), ScriptedCall("look")), untidy=untidy
    )
    async with served() as (double, url):
        double.script(rule)
        async with (
            official(url) as client,
            client.chat.completions.stream(model="gpt-4.1", messages=MESSAGES) as events,
        ):
            theirs = (await events.get_final_completion()).choices[0].message
        double.reset()  # the first request again: the same ids
        double.script(rule)
        made = OpenAIAnswerer(url=url, model="gpt-4.1", api_key=KEY)
        async with aclosing(made.answer(QUESTION)) as parts:
            ours = [part async for part in parts]
        await made.aclose()

    assert theirs.tool_calls is not None
    assert [part for part in ours if isinstance(part, Called)] == [
        Called(each.id, each.function.name, each.function.arguments) for each in theirs.tool_calls
    ]
    assert "".join(part for part in ours if isinstance(part, str)) == theirs.content


CHUNKS = "".join(
    f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]}, ensure_ascii=False)}\n\n"
    for text in ("של", "ום", " לך")
)


@pytest.mark.parametrize(
    "stream",
    [
        CHUNKS + "data: [DONE]\n\n",
        CHUNKS.replace("\n", "\r\n") + "data: [DONE]\r\n\r\n",
        f": ping\n\n{CHUNKS}: ping\n\ndata: [DONE]\n\n",
        CHUNKS.replace('{"choices"', '{\ndata: "choices"') + "data: [DONE]\n\n",
        CHUNKS.replace("data: ", "data:") + "data:[DONE]\n\n",
        CHUNKS + 'data: {"choices": [], "usage": {"total_tokens": 3}}\n\ndata: [DONE]\n\ndata: {"choices": []}\n\n',
        CHUNKS + 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n',
        "event: message\nid: 1\n" + CHUNKS + "data: [DONE]\n\n",
    ],
    ids=["plain", "crlf", "comments", "several lines", "no space", "usage", "no done", "fields"],
)
async def test_both_read_the_same_stream_alike(stream: str) -> None:
    async with answering(http("200 OK", stream.encode(), "Content-Type: text/event-stream")) as (url, _):
        theirs = await by_official(url)
    ours = ChatStream("x")

    assert list(ours.feed(stream.encode())) == theirs == ["של", "ום", " לך"]
    ours.end()


async def test_the_double_serves_the_official_client() -> None:
    async with served(models=("gpt-4.1",)) as (double, url), official(url) as client:
        double.script(Rule("קבע", tool=ScriptedCall("book", '{"day": "מחר", "hour": 8}')), Rule("", ANSWER))
        whole = await client.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
        models = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("gpt-4.1")
        usage = [
            chunk.usage
            async for chunk in await client.chat.completions.create(
                model="gpt-4.1", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
        ]
        async with client.chat.completions.stream(
            model="gpt-4.1", messages=[{"role": "user", "content": "קבע תור"}]
        ) as events:
            called = (await events.get_final_completion()).choices[0]

    assert whole.choices[0].message.content == ANSWER
    assert whole.usage is not None
    assert whole.usage.completion_tokens == double.records[0].planned_tokens
    assert (models, one.id) == (["gpt-4.1"], "gpt-4.1")
    assert [each is not None for each in usage] == [False] * (len(usage) - 1) + [True]
    assert called.finish_reason == "tool_calls"
    assert called.message.tool_calls is not None
    assert json.loads(called.message.tool_calls[0].function.arguments) == {"day": "מחר", "hour": 8}


async def test_the_official_client_takes_the_doubles_refusals_for_openais() -> None:
    import openai

    async with served(models=("gpt-4.1",)) as (double, url), official(url) as client:
        create = client.chat.completions.create
        double.inject(LLMFault(kind=LLMFaultKind.REFUSE, status=429, times=1))
        with pytest.raises(openai.RateLimitError) as limited:
            await create(model="gpt-4.1", messages=MESSAGES)
        with pytest.raises(openai.NotFoundError) as unknown:
            await create(model="gpt-9", messages=MESSAGES)
        with pytest.raises(openai.BadRequestError) as empty:
            await create(model="gpt-4.1", messages=[])
        double.inject(LLMFault(kind=LLMFaultKind.ERROR, after_tokens=2, times=1))
        with pytest.raises(openai.APIError, match="had an error") as inside:
            async for _ in await create(model="gpt-4.1", messages=MESSAGES, stream=True):
                pass
        with pytest.raises(openai.AuthenticationError) as wrong:
            await client.with_options(api_key="another").chat.completions.create(model="gpt-4.1", messages=MESSAGES)

    errors = (limited.value, unknown.value, empty.value, wrong.value)
    assert [error.code for error in errors] == [
        "rate_limit_exceeded", "model_not_found", "empty_array", "invalid_api_key",
    ]  # fmt: skip
    assert inside.value.type == "server_error"
