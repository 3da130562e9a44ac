"""The double of a language model on the wire: pace, records, cancellations, faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.records import RequestOutcome
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from support.http.raw_client import head, post, speaking
from support.time.waiting import until

AT_ONCE = LLMSettings(profile="fixed:0", tokens_per_s=0)
ANSWER = "כן, יש תור פנוי מחר בשעה שמונה."


@asynccontextmanager
async def serving(settings: LLMSettings = AT_ONCE) -> AsyncIterator[tuple[LLMDouble, httpx.AsyncClient]]:
    async with LLMDouble(settings) as double:
        double.script(Rule("", ANSWER))
        url = await double.start()
        async with httpx.AsyncClient(base_url=url, timeout=30, verify=False, trust_env=False) as client:
            yield double, client


def request(**changes: Any) -> dict[str, Any]:
    return {"model": "gpt-4.1", "messages": [{"role": "user", "content": "יש תור?"}], **changes}


async def streamed(client: httpx.AsyncClient, **changes: Any) -> list[Any]:
    """Return the chunks of an answer; its last event must be [DONE]."""
    answer = await client.post("/chat/completions", json=request(stream=True, **changes))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, done, nothing = answer.text.split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def test_an_answer_streams_as_openais_does() -> None:
    async with serving() as (double, client):
        first, *tokens, last = await streamed(client)

        (record,) = double.records
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in tokens) == ANSWER == record.text
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert {chunk["id"] for chunk in (first, *tokens, last)} == {first["id"]}
    assert record.sent_tokens == record.planned_tokens == len(tokens)
    assert (record.status, record.outcome, record.cancelled_at) == (200, RequestOutcome.FINISHED, None)


async def test_usage_comes_in_a_last_chunk_without_choices_if_it_is_asked_for() -> None:
    async with serving() as (_, client):
        *others, last = await streamed(client, stream_options={"include_usage": True})

    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == len(others) - 2
    assert all(chunk["usage"] is None for chunk in others)


async def test_a_whole_answer_comes_in_one() -> None:
    async with serving() as (double, client):
        answer = (await client.post("/chat/completions", json=request())).json()

        assert double.records[0].text == ANSWER
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == ANSWER


async def test_an_answer_that_reaches_the_limit_of_tokens_ends_with_length() -> None:
    async with serving() as (_, client):
        *_, last = await streamed(client, max_tokens=2)

    assert last["choices"][0]["finish_reason"] == "length"


async def test_the_first_token_comes_after_the_profiles_time_and_the_others_at_their_pace() -> None:
    async with serving(LLMSettings(profile="fixed:60", tokens_per_s=400)) as (double, client):
        await streamed(client)

        (record,) = double.records
    assert record.first_token_at is not None
    assert record.ended_at is not None
    assert record.first_token_at - record.received_at >= 0.06
    # A token that was late does not delay the others: each has a time of its own.
    assert record.ended_at - record.received_at >= 0.06 + (record.planned_tokens - 1) / 400 - 1e-6


async def test_a_client_that_leaves_is_recorded_and_nothing_is_sent_after_it() -> None:
    async with serving(LLMSettings(profile="fixed:0", tokens_per_s=50)) as (double, client):
        async with client.stream("POST", "/chat/completions", json=request(stream=True)) as answer:
            async for _ in answer.aiter_raw():
                break
        await until(lambda: double.records[0].outcome is RequestOutcome.CANCELLED)

        (record,) = double.records
    assert record.cancelled_at is not None
    assert record.sent_after_cancel == 0
    assert record.sent_tokens < record.planned_tokens


async def test_what_a_server_writes_before_it_notices_is_counted() -> None:
    async with serving(LLMSettings(profile="fixed:0", tokens_per_s=100, notice_ms=60)) as (double, client):
        async with client.stream("POST", "/chat/completions", json=request(stream=True)) as answer:
            async for _ in answer.aiter_raw():
                break
        await until(lambda: double.records[0].outcome is RequestOutcome.CANCELLED)

        (record,) = double.records
        assert double.stats()["tokens_sent_after_cancel"] == record.sent_after_cancel
    assert 0 < record.sent_after_cancel < record.sent_tokens


async def test_a_client_that_leaves_before_the_first_token_is_recorded() -> None:
    async with serving(LLMSettings(profile="fixed:100000")) as (double, client):
        for streams in (True, False):
            asking = asyncio.create_task(client.post("/chat/completions", json=request(stream=streams)))
            await until(lambda: double.records and double.records[-1].outcome is RequestOutcome.OPEN)
            asking.cancel()
            await until(lambda: double.records[-1].outcome is RequestOutcome.CANCELLED)

    assert [(record.status, record.sent_tokens) for record in double.records] == [(0, 0), (0, 0)]


async def test_a_stall_ends_when_its_time_is_over() -> None:
    async with serving() as (double, client):
        double.inject(
            LLMFault(kind=LLMFaultKind.STALL, lasts_s=0.02, times=1),
            LLMFault(kind=LLMFaultKind.STALL, after_tokens=2, lasts_s=0.02),
        )
        await streamed(client)
        await streamed(client)

        assert [record.text for record in double.records] == [ANSWER] * 2
        assert all((record.ended_at or 0) - record.received_at >= 0.02 for record in double.records)


async def test_a_fault_hits_so_many_requests_and_those_that_it_names() -> None:
    async with serving() as (double, client):
        double.inject(
            LLMFault(kind=LLMFaultKind.REFUSE, status=503, times=1),
            LLMFault(kind=LLMFaultKind.REFUSE, status=429, contains="רופא"),
        )
        statuses = [
            (
                await client.post("/chat/completions", json=request(messages=[{"role": "user", "content": text}]))
            ).status_code
            for text in ("תור", "תור", "רופא", "תור")
        ]

        assert statuses == [503, 200, 429, 200]
        assert [fault.status for fault in double.faults()] == [429]
        assert [record.outcome for record in double.records] == [
            RequestOutcome.REFUSED, RequestOutcome.FINISHED, RequestOutcome.REFUSED, RequestOutcome.FINISHED,
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/models", 200), ("GET", "/v1/models/gpt-4.1", 200), ("GET", "/v1/models/gpt-9", 404),
     ("GET", "/v1/chat/completions", 405), ("POST", "/v1/completions", 404), ("POST", "/v1/models", 404),
     ("GET", "/", 404)],
)  # fmt: skip
async def test_other_paths_are_answered_as_openai_answers_them(method: str, path: str, status: int) -> None:
    async with serving(LLMSettings(api_key="k", models=("gpt-4.1",))) as (_, client):
        found = await client.request(method, client.base_url.join(path), headers={"Authorization": "Bearer k"})
        refused = await client.request(method, client.base_url.join(path), headers={"Authorization": "Bearer x"})
        without = await client.request(method, client.base_url.join(path))

    assert (found.status_code, refused.status_code, without.status_code) == (status, 401, 401)
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert status == 200 or "message" in found.json()["error"]


def port_of(client: httpx.AsyncClient) -> int:
    return client.base_url.port or 0


async def test_what_is_no_request_is_refused_and_the_connection_closed() -> None:
    async with serving() as (_, client):
        for sent, status in (
            (b"nonsense\r\n\r\n", 400),
            (head("/v1/chat/completions", "Content-Length: many"), 411),
            (head("/v1/chat/completions", "Transfer-Encoding: chunked"), 411),
            (head("/v1/chat/completions", "Content-Length: 99999999"), 413),
        ):
            async with speaking(port_of(client)) as raw:
                await raw.send(sent)
                assert f"HTTP/1.1 {status} ".encode() in await raw.rest()


async def test_requests_one_after_another_are_answered_on_one_connection_in_order() -> None:
    async with serving() as (double, client), speaking(port_of(client)) as raw:
        whole = post(json.dumps(request()).encode(), "/v1/chat/completions")
        await raw.send(whole[:50], whole[50:] + whole)
        bodies = [json.loads((await raw.answer()).body) for _ in range(2)]

    assert [body["choices"][0]["message"]["content"] for body in bodies] == [ANSWER] * 2
    assert [record.connection for record in double.records] == [1, 1]


async def test_stopping_cuts_what_is_under_way() -> None:
    async with serving(LLMSettings(profile="fixed:100000")) as (double, client):
        asking = asyncio.create_task(client.post("/chat/completions", json=request()))
        await until(lambda: double.records)
        await double.stop()

        with pytest.raises(httpx.TransportError):
            await asking
