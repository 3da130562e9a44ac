"""Answers by a bot that is asked by webhook, over sockets: what it is sent, what it may answer, whose a fault is."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest

from batkol.answering.answerer import AnswererError, AnswerPart, HistoryMessage, Question, Role, ToolCall
from batkol.answering.patience import Limits
from batkol.answering.webhook import WebhookAnswerer
from batkol.answering.webhook_wire import LARGEST
from support.http.hostile_server import WAYS, hostile_http
from support.http.one_answer import answering, http
from support.http.plain import chunk
from support.http.scripted_server import CUT, END, HEAD, Part, ScriptedServer, feed, scripted
from support.time.waiting import until

SAID = "סוד"
KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
ASKED = Question(text=SAID, prompt=SAID, call_sid="CA1", turn=3, history=(HistoryMessage(Role.AGENT, SAID),))
SHORT = Limits(connect_s=0.3, first_s=0.2, between_s=0.15, whole_s=0.5)
TEXT_HEAD = HEAD.replace(b"text/event-stream", b"text/plain; charset=utf-8")


@asynccontextmanager
async def bot(url: str, **options: Any) -> AsyncIterator[WebhookAnswerer]:
    made = WebhookAnswerer(**{"url": f"{url}/answer?who=us", "secret": SECRET, **options})
    async with aclosing(made), asyncio.timeout(40):
        yield made


@asynccontextmanager
async def asking(*parts: Part, **options: Any) -> AsyncIterator[tuple[WebhookAnswerer, ScriptedServer]]:
    """An answerer, and the bot that it asks, which answers by a script."""
    async with scripted(*parts) as server, bot(server.url, **options) as made:
        yield made, server


async def answer(made: WebhookAnswerer) -> list[AnswerPart]:
    async with aclosing(made.answer(ASKED)) as parts:
        return [part async for part in parts]


async def failure(made: WebhookAnswerer) -> tuple[AnswererError, list[AnswerPart]]:
    """Return the error of a question, and the parts before it."""
    parts: list[AnswerPart] = []

    async def read() -> None:
        async with aclosing(made.answer(ASKED)) as answer:
            async for part in answer:
                parts.append(part)  # noqa: PERF401 - those before the error count

    with pytest.raises(AnswererError) as raised:
        await read()
    printed = "".join(traceback.format_exception(raised.value))
    for secret in (SAID, SECRET, "who=us"):
        assert secret not in printed
    return raised.value, parts


async def test_a_bot_is_asked_by_a_signed_post_and_its_text_comes_as_it_is_written() -> None:
    text = "כן, יש תור.".encode()
    pieces = (chunk(text[:3]), chunk(text[3:10]), chunk(text[10:]), END)
    async with asking(feed(*pieces, head=TEXT_HEAD)) as (made, server):
        said = await answer(made)

    assert "".join(map(str, said)) == text.decode()
    [asked] = server.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/answer", {"who": "us"})
    assert asked.headers["content-type"] == "application/json"
    body = json.loads(asked.body)
    assert (body["call"], body["turn"], body["text"]) == ("CA1", 3, SAID)
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    signature = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert asked.headers["webhook-signature"] == f"v1,{signature}"


async def test_a_bot_streams_text_and_calls_tools_and_says_where_its_answer_ends() -> None:
    pieces = (
        chunk(b': a comment\n\ndata: {"text": "one "}\n\n'),
        chunk(b'data: {"tool": "save_lead", "arguments": {"name": "x"}}\n\ndata: {"end": true}\n\n'),
    )
    async with asking(feed(*pieces)) as (made, _):  # the body stays open
        assert await answer(made) == ["one ", ToolCall("", "save_lead", '{"name": "x"}')]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [("200 OK", b"yes", ()), ("200 OK", b'{"text": "yes"}', ("Content-Type: application/json",))],
    ids=["no type", "json"],
)
async def test_a_whole_answer_is_understood(status: str, body: bytes, headers: tuple[str, ...]) -> None:
    async with answering(http(status, body, *headers)) as (url, _), bot(url) as made:
        assert await answer(made) == ["yes"]


@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
async def test_a_bot_may_have_nothing_to_say(status: str) -> None:
    async with answering(http(status, b"")) as (url, _), bot(url) as made:
        assert await answer(made) == []


@pytest.mark.parametrize(
    ("status", "reason", "says"),
    [
        (401, "unauthorized", "give it and the service the same secret"),
        (403, "unauthorized", "give it and the service the same secret"),
        (404, "not_found", "check the URL"),
        (405, "not_found", "takes no POST"),
        (413, "too_large", "raise the limit"),
        (422, "bad_request", "its own log"),
        (429, "rate_limited", "raise its limits"),
        (500, "server_error", "The bot failed; its own log"),
        (502, "server_error", "check that the bot runs"),
        (307, "redirect", "set the URL that it names"),
        (202, "malformed", "send 200"),
    ],
)
async def test_a_refusal_says_whose_fault_it_is_and_what_to_do(status: int, reason: str, says: str) -> None:
    async with answering(http(f"{status} X", SAID.encode(), "Location: /elsewhere")) as (url, asked), bot(url) as made:
        error, _ = await failure(made)

    assert error.reason == reason
    assert f"HTTP {status}. " in str(error)
    assert says in str(error)
    assert error.retryable is (status >= 500 or status == 429)
    assert len(asked) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_hostile_server_costs_neither_time_nor_memory(way: str) -> None:
    async with hostile_http(way, "text/plain") as server, bot(server.url, limits=SHORT) as made:
        error, _ = await failure(made)
        await server.check(largest=LARGEST + (1 << 20))
    assert error.reason in {
        "no_first_token", "stalled", "too_slow", "too_long", "malformed", "cut_off", "unavailable", "redirect",
        "server_error",
    }  # fmt: skip


async def test_what_came_before_a_cut_stands() -> None:
    async with asking(feed(chunk(b'data: {"text": "one "}\n\n'), CUT)) as (made, _):
        error, parts = await failure(made)
    assert (error.reason, error.retryable, parts) == ("cut_off", True, ["one "])


async def test_a_question_that_is_sent_again_has_the_id_of_the_first_time() -> None:
    """A bot can then tell that it has done its work already. The kept connection is closed as the question comes."""
    ids: list[bytes] = []
    closed = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
                ids.append(head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0])
                if len(ids) == 2:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()
        closed.release()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, bot(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as made:
        assert [await answer(made) for _ in range(2)] == [["ok"], ["ok"]]
        await made.aclose()
        for _ in range(2):  # connections
            await closed.acquire()
    assert len(ids) == 3
    assert ids[0] != ids[1] == ids[2]


async def test_closing_an_answer_closes_its_connection_at_once() -> None:
    left = asyncio.Event()

    async def part(writer: asyncio.StreamWriter) -> None:
        writer.write(TEXT_HEAD + chunk(b"one "))
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    async with asking(part) as (made, _):
        async with aclosing(made.answer(ASKED)) as parts:
            assert await anext(parts) == "one "
        await until(left.is_set)


def test_a_secret_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="must be whsec_"):
        WebhookAnswerer(url="http://127.0.0.1/", secret="a password")
