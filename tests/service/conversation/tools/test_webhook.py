"""Webhooks of tools over real sockets: what they are sent, and what of their answers becomes a result."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache

import httpx
import pytest

from batkol.conversation.tools.webhook import LARGEST, ToolError, ToolRequest, ToolWebhooks
from batkol.http_client.signature import WebhookSigner
from batkol.tools.definition import ToolDefinition
from support.http.hostile_server import WAYS, hostile_http
from support.http.one_answer import Answer, answering, http

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
TOKEN = "a-token-of-the-tool"
REQUEST = ToolRequest(
    id="MZ1-t1",
    call_sid="CA1",
    stream_sid="MZ1",
    direction="rehearsal",
    turn=2,
    tool="book",
    arguments={"day": "מחר", "seats": 2},
)
TLS = cache(httpx.create_ssl_context)
ENVIRON = {"TOOL_TOKEN": TOKEN, "TOOL_SECRET": SECRET, "TOOL_BAD": "whsec_x", "TOOL_HEBREW": "סוד"}


@asynccontextmanager
async def webhooks(environ: Mapping[str, str] = ENVIRON) -> AsyncIterator[ToolWebhooks]:
    made = ToolWebhooks(environ, clock=lambda: 1_700_000_000.9, tls=TLS)
    try:
        async with asyncio.timeout(30):
            yield made
    finally:
        await made.aclose()


def tool(url: str, *, timeout_seconds: float = 5.0, token_env: str = "", secret_env: str = "") -> ToolDefinition:
    return ToolDefinition(
        name="book", url=url, timeout_seconds=timeout_seconds, token_env=token_env, secret_env=secret_env
    )


async def answered(answer: Answer, **about: str) -> tuple[str, list[bytes]]:
    async with answering(answer) as (url, asked), webhooks() as made:
        return await made.carry_out(tool(f"{url}/book?x=1", **about), REQUEST), asked  # type: ignore[arg-type]


async def failed(answer: Answer, **about: str) -> ToolError:
    with pytest.raises(ToolError) as raised:
        await answered(answer, **about)
    return raised.value


async def test_a_webhook_is_sent_the_call_and_signed_as_standard_webhooks() -> None:
    content, (asked,) = await answered(
        http("200 OK", '{"booked": "מחר"}'.encode()), token_env="TOOL_TOKEN", secret_env="TOOL_SECRET"
    )

    assert content == '{"booked": "מחר"}'
    head, _, body = asked.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert lines[0] == "POST /book?x=1 HTTP/1.1"
    assert json.loads(body) == {
        "type": "tool.call", "id": "MZ1-t1", "call_sid": "CA1", "stream_sid": "MZ1", "direction": "rehearsal",
        "turn": 2, "tool": "book", "arguments": {"day": "מחר", "seats": 2},
    }  # fmt: skip
    assert headers["authorization"] == f"Bearer {TOKEN}"
    expected = WebhookSigner(SECRET, now=lambda: 1_700_000_000).headers(body, "MZ1-t1")
    assert {name: headers[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (http("200 OK", b"booked \n"), "booked"),
        (http("201 Created", b""), "done"),
        (http("204 No Content", b""), "done"),
        (http("200 OK", b"x" * LARGEST), "x" * LARGEST),
    ],
    ids=["text", "empty", "no content", "largest"],
)
async def test_what_a_webhook_answers_is_the_result(answer: Answer, content: str) -> None:
    assert (await answered(answer))[0] == content


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http("302 Found", b"", "Location: http://127.0.0.1:9/"), "redirect"),
        (http("307 Temporary Redirect", b"", "Location: /book"), "redirect"),
        (http("404 Not Found", b"secret"), "http_4xx"),
        (http("500 Internal Server Error", b"secret"), "http_5xx"),
        (http("200 OK", b"\xd7"), "unusable"),
        (http("200 OK", b"x" * (LARGEST + 1)), "unusable"),
        (http("200 OK", b"x", "Content-Encoding: gzip"), "unusable"),
    ],
    ids=["redirect", "redirect of a post", "not found", "error", "no text", "too long", "compressed"],
)
async def test_what_is_no_result_is_a_failure_that_quotes_nothing(answer: Answer, reason: str) -> None:
    error = await failed(answer)

    assert error.reason == reason
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("307 Temporary Redirect", "The webhook sends clients to another URL; set the tool's url to it."),
        ("400 Bad Request", "The webhook refuses the request; look into the webhook's own log."),
        ("401 Unauthorized", "give it and the service the same token (tokenEnv) and the same secret (secretEnv)"),
        ("403 Forbidden", "give it and the service the same token (tokenEnv) and the same secret (secretEnv)"),
        ("404 Not Found", "The webhook has no such path; check the tool's url."),
        ("429 Too Many Requests", "The webhook gets more tool calls than it takes; raise its limits."),
        ("500 Internal Server Error", ""),
    ],
)
async def test_a_refusal_says_what_to_do_and_the_model_does_not_learn_it(status: str, remedy: str) -> None:
    error = await failed(http(status, b"secret"))

    assert remedy in error.remedy
    assert bool(remedy) is bool(error.remedy)
    assert str(error) == f"the webhook answered HTTP {status[:3]}", "what the model gets"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"token_env": "TOOL_NONE"}, "the variable TOOL_NONE is not set"),
        ({"secret_env": "TOOL_BAD"}, "the variable TOOL_BAD must be whsec_"),
        ({"token_env": "TOOL_HEBREW"}, "the variable TOOL_HEBREW has a character that is not ASCII"),
    ],
    ids=str,
)
async def test_a_secret_that_cannot_be_used_is_named_and_nothing_is_sent(variables: dict[str, str], says: str) -> None:
    async with answering(http("200 OK", b"")) as (url, asked), webhooks() as made:
        with pytest.raises(ToolError, match=says) as raised:
            await made.carry_out(tool(url, **variables), REQUEST)  # type: ignore[arg-type]

    assert (raised.value.reason, asked) == ("misconfigured", [])


async def test_nobody_there_is_unavailable() -> None:
    async with webhooks() as made:
        with pytest.raises(ToolError) as raised:
            await made.carry_out(tool("http://127.0.0.1:9/"), REQUEST)
    assert raised.value.reason == "unavailable"


@pytest.mark.parametrize("way", WAYS)
async def test_a_hostile_webhook_costs_its_time_and_little_else(way: str) -> None:
    async with hostile_http(way) as server:
        async with webhooks() as made:
            with pytest.raises((ToolError, TimeoutError)):
                await made.carry_out(tool(server.url, timeout_seconds=0.15), REQUEST)
        await server.check(largest=1 << 20)


async def test_a_call_that_is_cancelled_closes_its_connection() -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began.set()
        while await reader.read(1 << 16):
            pass
        left.set()
        writer.close()

    began = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, webhooks() as made:
        port = server.sockets[0].getsockname()[1]
        asking = asyncio.create_task(made.carry_out(tool(f"http://127.0.0.1:{port}/"), REQUEST))
        await began.wait()
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(20):
            await left.wait()
        assert asking.cancelled()
