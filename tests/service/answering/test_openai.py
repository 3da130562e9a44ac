"""Answers from the double of a language model, and from servers that do a client harm, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from batkol.answering.answerer import AnswererError, HistoryMessage, Question, Role, Usage
from batkol.answering.answerer import ToolCall as Called
from batkol.answering.openai import AnswererFigures, OpenAIAnswerer
from batkol.answering.patience import Limits
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.records import RequestOutcome
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall, Untidy
from support.http.hostile_server import WAYS, hostile_http
from support.http.one_answer import answering, http
from support.http.tls import CERTIFICATE, server_side
from support.time.waiting import until

ANSWER = "כן, יש תור פנוי מחר בשעה 8:00."
SECRET = "סוד"
KEY = "sk-secret"
AT_ONCE = LLMSettings(profile="fixed:0", tokens_per_s=0)
ASKED = Question(text=f"יש תור? {SECRET}", prompt=f"ענה {SECRET}", history=(HistoryMessage(Role.AGENT, SECRET),))


@asynccontextmanager
async def asking(settings: LLMSettings = AT_ONCE, **options: Any) -> AsyncIterator[tuple[OpenAIAnswerer, LLMDouble]]:
    """An answerer, and the double that it asks."""
    async with LLMDouble(settings) as double:
        double.script(Rule("", ANSWER))
        async with answerer(await double.start(), **options) as made:
            yield made, double


@asynccontextmanager
async def answerer(url: str, **options: Any) -> AsyncIterator[OpenAIAnswerer]:
    made = OpenAIAnswerer(**{"url": url, "model": "gpt-4.1", "api_key": KEY, **options})
    try:
        async with asyncio.timeout(40):
            yield made
    finally:
        await made.aclose()


async def answer(made: OpenAIAnswerer, question: Question = ASKED) -> str:
    async with aclosing(made.answer(question)) as texts:
        return "".join([text async for text in texts if isinstance(text, str)])


async def failure(made: OpenAIAnswerer) -> tuple[AnswererError, str]:
    """Return the error of a question, and the text before it."""
    pieces: list[str] = []

    async def read() -> None:
        async with aclosing(made.answer(ASKED)) as texts:
            async for text in texts:
                assert isinstance(text, str)
                pieces.append(text)

    with pytest.raises(AnswererError) as raised:
        await read()
    said = "".join(pieces)
    printed = "".join(traceback.format_exception(raised.value))
    assert SECRET not in printed
    assert KEY not in printed
    assert not said or said not in printed
    return raised.value, said


async def test_an_answer_comes_as_it_is_written() -> None:
    async with asking(prompt="היה אדיב", temperature=0.5) as (made, double):
        async with aclosing(
            made.answer(Question(text="יש תור?", history=(HistoryMessage(Role.CALLER, "שלום"),)))
        ) as texts:
            pieces = [text async for text in texts if isinstance(text, str)]

        assert "".join(pieces) == ANSWER
        assert len(pieces) == double.records[0].sent_tokens > 5
        assert [(each.role, each.content) for each in double.records[0].messages] == [
            ("system", "היה אדיב"), ("user", "שלום"), ("user", "יש תור?"),
        ]  # fmt: skip
        assert made.figures == AnswererFigures(asked=1, finished=1)
        assert made.name == "openai"


@pytest.mark.parametrize(
    "untidy",
    [
        {"ragged": True},
        {"null_content": True},
        {"comments_every_ms": 1, "profile": "fixed:20"},
        {"tokens_per_s": 2000.0},
    ],
    ids=str,
)
async def test_an_untidy_server_is_understood(untidy: dict[str, Any]) -> None:
    settings = LLMSettings(**{"profile": "fixed:0", "tokens_per_s": 0, **untidy})
    async with asking(settings) as (made, _):
        assert await answer(made) == ANSWER


async def test_an_answer_without_text_is_empty_and_a_tool_call_is_counted() -> None:
    async with asking() as (made, double):
        double.inject(LLMFault(kind=LLMFaultKind.EMPTY, times=1))
        assert await answer(made) == ""
        double.script(Rule("", tool=ScriptedCall("book", '{"day": "מחר"}')))
        assert await answer(made) == ""

        assert made.figures.tool_calls == 1
        assert made.figures.finished == 2


async def test_tool_calls_come_whole_after_the_text_and_the_usage_last() -> None:
    async with asking() as (made, double):
        double.script(
            Rule(
                "", "רגע.", tools=(ScriptedCall("book", '{"day": "מחר"}'), ScriptedCall("look")), untidy=(Untidy.STOP,)
            )
        )
        async with aclosing(made.answer(ASKED)) as parts:
            found = [part async for part in parts]

    assert "".join(part for part in found if isinstance(part, str)) == "רגע."
    first, second, usage = [part for part in found if not isinstance(part, str)]
    assert isinstance(first, Called)
    assert isinstance(second, Called)
    assert (first.name, first.arguments, second.name) == ("book", '{"day": "מחר"}', "look")
    assert isinstance(usage, Usage)
    assert usage.completion_tokens == double.records[0].planned_tokens
    assert usage is found[-1]


async def test_a_server_that_refuses_the_wish_for_usage_is_asked_without_it_from_then_on() -> None:
    async with asking(LLMSettings(profile="fixed:0", tokens_per_s=0, refuses_usage=True)) as (made, double):
        assert await answer(made) == ANSWER
        assert await answer(made) == ANSWER

        assert [record.includes_usage for record in double.records] == [True, False, False]


async def test_another_refusal_says_nothing_of_the_wish_for_usage() -> None:
    async with asking() as (made, double):
        double.inject(LLMFault(kind=LLMFaultKind.REFUSE, status=400, times=2))
        with pytest.raises(AnswererError) as refused:
            await answer(made)
        assert refused.value.reason == "bad_request"
        assert await answer(made) == ANSWER

        assert double.records[-1].includes_usage


async def test_an_answer_that_reaches_the_limit_of_tokens_is_counted() -> None:
    async with asking(max_tokens=3) as (made, double):
        assert ANSWER.startswith(await answer(made))
        assert double.records[0].sent_tokens == 3
        assert made.figures.cut_short == 1


async def test_a_model_of_the_newer_kind_gets_the_limit_under_its_other_name() -> None:
    async with asking(model="gpt-5.1", options={"reasoning_effort": "minimal"}) as (made, _):
        assert await answer(made) == ANSWER


async def test_closing_the_answer_closes_the_connection_at_once() -> None:
    async with asking(LLMSettings(profile="fixed:0", tokens_per_s=20)) as (made, double):
        texts = made.answer(ASKED)
        await anext(texts)
        await texts.aclose()
        await until(lambda: double.records[0].outcome is RequestOutcome.CANCELLED)

        (record,) = double.records
        assert record.cancelled_at is not None
        assert record.sent_after_cancel == 0
        assert record.sent_tokens < record.planned_tokens
        assert made.figures == AnswererFigures(asked=1, cancelled=1)


async def test_cancelling_the_wait_for_the_first_text_closes_the_connection_at_once() -> None:
    async with asking(LLMSettings(profile="fixed:100000")) as (made, double):
        waiting = asyncio.create_task(answer(made))
        await until(lambda: double.records)
        waiting.cancel()
        await asyncio.wait([waiting])
        await until(lambda: double.records[0].outcome is RequestOutcome.CANCELLED)

        assert waiting.cancelled()
        assert double.records[0].sent_tokens == 0
        assert made.figures == AnswererFigures(asked=1, cancelled=1)


async def test_a_connection_serves_one_answer_after_another_and_can_be_there_before_the_first() -> None:
    async with asking(api_key=KEY) as (made, double):
        await made.warm_up()
        for _ in range(3):
            await answer(made)

        assert [record.connection for record in double.records] == [1, 1, 1]


async def test_answers_at_once_have_a_connection_each() -> None:
    async with asking(LLMSettings(profile="fixed:50")) as (made, double):
        await made.warm_up(3)
        assert await asyncio.gather(*(answer(made) for _ in range(3))) == [ANSWER] * 3

        assert sorted(record.connection for record in double.records) == [1, 2, 3]


async def test_a_connection_that_the_server_has_closed_meanwhile_costs_no_answer() -> None:
    async with asking() as (made, double):
        await answer(made)
        double.inject(LLMFault(kind=LLMFaultKind.CUT, times=1))

        assert await answer(made) == ANSWER
        assert made.figures == AnswererFigures(asked=2, finished=2, resent=1)


async def test_a_server_that_cuts_every_connection_is_asked_twice_and_no_more() -> None:
    async with asking() as (made, double):
        double.inject(LLMFault(kind=LLMFaultKind.CUT))
        error, _ = await failure(made)

        assert (error.reason, error.retryable) == ("unavailable", True)
        assert len(double.records) == 2


@pytest.mark.parametrize(
    ("status", "code", "reason", "retryable"),
    [(429, "", "rate_limited", True), (429, "insufficient_quota", "quota", False), (500, "", "server_error", True),
     (503, "", "server_error", True), (401, "", "unauthorized", False), (403, "", "not_found", False)],
)  # fmt: skip
async def test_a_refusal_says_whether_to_try_again(status: int, code: str, reason: str, retryable: bool) -> None:
    async with asking() as (made, double):
        double.inject(LLMFault(kind=LLMFaultKind.REFUSE, status=status, code=code))
        error, _ = await failure(made)

        assert (error.reason, error.retryable) == (reason, retryable)
        assert made.figures == AnswererFigures(asked=1, failed=1)
        double.clear()
        assert await answer(made) == ANSWER
        assert len({record.connection for record in double.records}) == 1  # the refusal was read to its end


@pytest.mark.parametrize(
    ("fault", "reason", "retryable"),
    [
        (LLMFault(kind=LLMFaultKind.ERROR, after_tokens=3), "server_error", True),
        (LLMFault(kind=LLMFaultKind.ERROR, after_tokens=3, status=429), "rate_limited", True),
        (LLMFault(kind=LLMFaultKind.NONSENSE, after_tokens=3), "malformed", False),
        (LLMFault(kind=LLMFaultKind.CUT, after_tokens=3), "cut_off", True),
        (LLMFault(kind=LLMFaultKind.UNFINISHED, after_tokens=3), "cut_off", True),
        (LLMFault(kind=LLMFaultKind.FILTERED, after_tokens=3), "content_filter", False),
    ],
    ids=lambda each: each.kind if isinstance(each, LLMFault) else str(each),
)
async def test_what_came_before_a_fault_stands(fault: LLMFault, reason: str, retryable: bool) -> None:
    async with asking() as (made, double):
        double.inject(fault)
        error, said = await failure(made)

        assert (error.reason, error.retryable) == (reason, retryable)
        assert said == double.records[0].text
        assert said


@pytest.mark.parametrize(
    ("settings", "fault", "limits", "reason"),
    [
        (AT_ONCE, LLMFault(kind=LLMFaultKind.STALL), Limits(first_s=0.4), "no_first_token"),
        (LLMSettings(profile="fixed:90000", comments_every_ms=10), None, Limits(first_s=0.4), "no_first_token"),
        (AT_ONCE, LLMFault(kind=LLMFaultKind.STALL, after_tokens=2), Limits(between_s=0.15), "stalled"),
        (LLMSettings(profile="fixed:0", tokens_per_s=9), None, Limits(whole_s=0.5), "too_slow"),
    ],
    ids=["no head", "comments only", "in mid-answer", "too slow"],
)
async def test_each_wait_has_its_limit_and_its_end_closes_the_connection(
    settings: LLMSettings, fault: LLMFault | None, limits: Limits, reason: str
) -> None:
    async with asking(settings, limits=limits) as (made, double):
        double.inject(*([fault] if fault else []))
        error, _ = await failure(made)

        assert (error.reason, error.retryable) == (reason, True)
        await until(lambda: double.records[0].outcome is RequestOutcome.CANCELLED)


async def test_an_answer_without_an_end_is_given_up() -> None:
    async with asking() as (made, double):
        double.inject(LLMFault(kind=LLMFaultKind.FLOOD))
        error, _ = await failure(made)

        assert error.reason == "too_long"
        await until(lambda: double.records[0].outcome is RequestOutcome.CANCELLED)


async def test_the_last_text_does_not_wait_for_the_end_of_the_body() -> None:
    """A server may leave the body open after [DONE]: the answer is whole then, and the connection is closed."""
    chunks = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'

    async def open_ended(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(chunks), chunks))
        await writer.drain()
        await asyncio.Event().wait()

    async with answering(open_ended) as (url, _), answerer(url) as made:
        assert await answer(made) == "a"


async def test_a_connection_is_kept_if_the_end_of_the_body_comes_soon_after_done() -> None:
    chunks = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    ends: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        ends.append(ended)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while asked := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(asked.lower().partition(b"content-length: ")[2].split()[0]))
                writer.write(head + b"%x\r\n%s\r\n" % (len(chunks), chunks))
                for _ in range(4):  # the client reads
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n")
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, answerer(url) as made:
        assert [await answer(made) for _ in range(3)] == ["a"] * 3
        await made.aclose()
        await asyncio.gather(*(ended.wait() for ended in ends))
    assert len(ends) == 1


async def test_a_compressed_answer_is_refused_by_its_head() -> None:
    async with hostile_http("bomb", "text/event-stream") as server, answerer(server.url) as made:
        error, _ = await failure(made)

    assert (error.reason, error.retryable) == ("malformed", False)
    assert "compressed" in str(error)


async def test_room_for_one_answer_is_room_for_the_next() -> None:
    async with asking(connections=1, limits=Limits(connect_s=20.0)) as (made, double):
        assert [await answer(made) for _ in range(3)] == [ANSWER] * 3
        double.inject(LLMFault(kind=LLMFaultKind.CUT, after_tokens=2, times=2))
        for _ in range(2):
            await failure(made)
        assert await answer(made) == ANSWER


async def test_a_server_of_http_1_0_is_understood() -> None:
    async def old(writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.0 200 OK\r\n\r\ndata: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n')

    async with answering(old) as (url, _), answerer(url) as made:
        assert await answer(made) == "a"


async def test_the_request_is_openais() -> None:
    done = http("200 OK", b"data: [DONE]\n\n")
    async with answering(done) as (url, asked), answerer(f"{url}/v1/?api-version=7") as made:
        assert await answer(made) == ""

    head = asked[0].partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"post /v1/chat/completions?api-version=7 http/1.1\r\n")
    for line in (f"authorization: bearer {KEY}", "accept-encoding: identity", "content-type: application/json"):
        assert line.encode() in head
    assert b"cookie" not in head


async def test_a_login_in_the_url_is_sent_as_a_header_and_is_in_no_error() -> None:
    async with answering(http("500 Oh", b"")) as (url, asked):
        named = url.replace("http://", "http://user:Zq7%2F%40@")
        async with answerer(named) as made:
            error, _ = await failure(made)

    assert b"Basic " + b64encode(b"user:Zq7/@") in asked[0]
    assert "Zq7" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_tls_works_and_its_certificate_is_checked(
    run: Callable[[Coroutine[Any, Any, None]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n' * 500 + b"data: [DONE]\n\n"
    tls = server_side(tmp_path)

    async def ask() -> None:
        async with answering(http("200 OK", chunks), tls) as (url, asked):
            async with answerer(url) as made:
                error, _ = await failure(made)
                assert (error.reason, asked) == ("unavailable", [])
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / CERTIFICATE))
            async with answerer(url, hold_s=0.01) as made:
                assert await answer(made) == "a" * 500
                texts = made.answer(ASKED)
                assert await anext(texts) == "a"
                await texts.aclose()

    run(ask())


async def test_a_cookie_is_not_kept() -> None:
    async with answering(http("500 Oh", b"", "Set-Cookie: a=b")) as (url, asked), answerer(url) as made:
        await failure(made)
        await failure(made)

    assert len(asked) == 2
    assert b"cookie" not in asked[1].lower()


async def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'
    async with answering(http("200 OK", chunks)) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with answerer("http://llm.example/v1") as made:
            assert await answer(made) == "a"
        async with asking() as (made, _):
            assert await answer(made) == ANSWER

    assert [request.split(b"\r\n")[0] for request in asked] == [b"POST http://llm.example/v1/chat/completions HTTP/1.1"]


async def test_a_key_with_a_line_break_is_refused_and_not_sent() -> None:
    async with answering(http("200 OK", b"")) as (url, asked), answerer(url, api_key=f"{KEY}\r\nX: y") as made:
        error, _ = await failure(made)

    assert (error.reason, asked) == ("unavailable", [])


async def test_the_rest_of_an_answer_is_read_several_tokens_at_a_time() -> None:
    async with asking(LLMSettings(profile="fixed:0", tokens_per_s=300), hold_s=0.2) as (made, double):
        double.script(Rule("", "אני רוצה לקבוע תור לרופא ביום ראשון בבוקר, אם אפשר. " * 4))
        async with aclosing(made.answer(ASKED)) as texts:
            read = [(text, asyncio.get_running_loop().time()) async for text in texts if isinstance(text, str)]

    early = next(at for at in range(len(read)) if sum(len(text) for text, _ in read[:at]) > 40)
    waits = sum(later[1] - earlier[1] > 0.001 for earlier, later in itertools.pairwise(read[early:]))
    assert waits < (len(read) - early) / 4


SLOW = {"no answer", "drip", "dripping head", "preliminary answers"}
SHORT = Limits(connect_s=0.3, first_s=0.2, between_s=0.15, whole_s=0.5)


@pytest.mark.parametrize("way", WAYS)
async def test_a_hostile_server_costs_one_error_and_little_else(way: str) -> None:
    limits = SHORT if way in SLOW else Limits()
    async with hostile_http(way, "text/event-stream") as server:
        async with answerer(server.url, limits=limits) as made:
            error, said = await failure(made)
            assert (made.figures.failed, said) == (1, "")
        await server.check()
    assert error.reason != "content_filter"


async def test_nobody_there_is_unavailable() -> None:
    async with answerer("http://127.0.0.1:9/v1") as made:
        error, _ = await failure(made)

    assert (error.reason, error.retryable) == ("unavailable", True)


async def test_one_answer_more_than_there_may_be_at_once_is_refused() -> None:
    async with asking(LLMSettings(profile="fixed:100000"), connections=1, limits=Limits(connect_s=0.5)) as (
        made,
        double,
    ):
        first = asyncio.create_task(answer(made))
        await until(lambda: double.records)
        error, _ = await failure(made)
        first.cancel()
        await asyncio.wait([first])

    assert (error.reason, error.retryable) == ("busy", True)


async def test_warming_up_finds_out_a_wrong_key_and_an_absent_server() -> None:
    async with asking(LLMSettings(api_key="another")) as (made, double):
        with pytest.raises(AnswererError) as refused:
            await made.warm_up()
        assert double.records == []
    async with answerer("http://127.0.0.1:9/v1") as made:
        with pytest.raises(AnswererError) as absent:
            await made.warm_up()

    assert (refused.value.reason, absent.value.reason) == ("unauthorized", "unavailable")


@pytest.mark.parametrize("way", ["no answer", "no http"])
async def test_warming_up_ends_where_no_http_is_spoken(way: str) -> None:
    async with hostile_http(way) as server:
        async with answerer(server.url, limits=SHORT) as made:
            with pytest.raises(AnswererError) as raised:
                await made.warm_up()
        await server.check()
    assert raised.value.reason == "unavailable"


@pytest.mark.parametrize("way", ["flood", "redirects", "bomb"])
async def test_warming_up_reads_little_of_a_hostile_list(way: str) -> None:
    async with hostile_http(way) as server:
        async with answerer(server.url) as made:
            await made.warm_up()
        await server.check()
        assert len(server.asked) == 1
