"""The line, against a server that is asked for it: what is sent, what comes back, and what is tried again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from batkol.client import (
    Batkol,
    BusyError,
    CallHandle,
    CallOverError,
    ClientError,
    ClientLimits,
    NotAvailableError,
    ServiceUnreachableError,
    UncertainError,
    UnexpectedAnswerError,
)
from support.http.scripted_server import CUT, Part, answered, feed, refused, scripted

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
SID = "CA0123456789abcdef"

Command = Callable[[CallHandle], Awaitable[Any]]


class Case(NamedTuple):
    """A command, what the service answers, what comes of it, and the request that it is."""

    command: Command
    answer: Any
    result: Any
    path: str
    kind: str | None = None
    body: Any = b""
    query: Mapping[str, str] = MappingProxyType({})


CASES = [
    Case(lambda call: call.say("שלום"), {"reply_id": "r1"}, "r1", "say", "application/json", {"text": "שלום"}),
    Case(
        lambda call: call.say("די", interrupt=True),
        {"reply_id": "r2", "new": 1},
        "r2",
        "say",
        "application/json",
        {"text": "די", "interrupt": True},
    ),
    Case(lambda call: call.play(WAV), {"reply_id": "r3"}, "r3", "play", "audio/wav", WAV),
    Case(lambda call: call.play(b"\xff" * 160), {"reply_id": "r4"}, "r4", "play", "audio/basic", b"\xff" * 160),
    Case(
        lambda call: call.play(WAV, text="שלום", interrupt=True),
        {"reply_id": "r5"},
        "r5",
        "play",
        "audio/wav",
        WAV,
        {"text": "שלום", "interrupt": "true"},
    ),
    Case(lambda call: call.clear(), {"heard_ms": 420}, 420, "clear"),
    Case(lambda call: call.clear(), {"heard_ms": None}, None, "clear"),
    Case(lambda call: call.mark("here"), {}, None, "mark", "application/json", {"name": "here"}),
    Case(lambda call: call.hangup(), {}, None, "hangup"),
    Case(lambda call: call.hangup(goodbye=False), {}, None, "hangup", "application/json", {"goodbye": False}),
    Case(lambda call: call.transfer("sales"), {}, None, "transfer", "application/json", {"label": "sales"}),
]


@pytest.mark.parametrize("case", CASES)
async def test_each_command_is_one_request(case: Case) -> None:
    async with scripted(answered(case.answer, 202)) as server, Batkol(server.url, "a-token", scope="fleet") as batkol:
        assert await case.command(batkol.call(SID)) == case.result

    (request,) = server.asked
    assert (request.method, request.path) == ("POST", f"/v1/calls/{SID}/{case.path}")
    assert request.query == {"scope": "fleet", **case.query}
    assert request.headers["authorization"] == "Bearer a-token"
    assert request.headers.get("content-type") == case.kind
    assert (json.loads(request.body) if isinstance(case.body, dict) else request.body) == case.body


async def test_of_one_pod_nothing_is_said_of_a_scope() -> None:
    async with scripted(answered({})) as server, Batkol(server.url, scope="pod") as batkol:
        await batkol.call(SID).mark("m")
        await batkol.call(SID, scope="fleet").mark("m")

    assert [request.query for request in server.asked] == [{}, {"scope": "fleet"}]


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (refused(404, "There is no live call with this SID."), CallOverError),
        (refused(409, "The call is closing."), CallOverError),
        (refused(501, "The service has no telephone line."), NotAvailableError),
        (refused(500), BusyError),
        (refused(502), UncertainError),
        (refused(504, "The pod that has this call failed to answer."), UncertainError),
        (answered(b"[]"), UnexpectedAnswerError),
        (answered(b"[" * 100_000), UnexpectedAnswerError),
    ],
)
async def test_a_command_that_fails_is_sent_once_and_its_error_is_of_a_type(
    part: Part, kind: type[ClientError]
) -> None:
    async with scripted(part) as server, Batkol(server.url) as batkol:
        with pytest.raises(kind):
            await batkol.call(SID).clear()

    assert len(server.asked) == 1


async def test_a_command_that_was_certainly_not_carried_out_is_tried_again() -> None:
    busy = refused(503, "", "Retry-After: 0")
    async with scripted(busy, refused(429), answered({"reply_id": "r"})) as server, Batkol(server.url) as batkol:
        assert await batkol.call(SID).say("שלום") == "r"

    assert len(server.asked) == 3


async def test_a_command_does_not_wait_longer_than_a_caller_would() -> None:
    busy = refused(503, "", "Retry-After: 5")
    async with scripted(busy) as server, Batkol(server.url) as batkol:
        with pytest.raises(BusyError) as raised:
            await batkol.call(SID).say("שלום")

    assert (raised.value.retry_after_s, len(server.asked)) == (5.0, 1)


@pytest.mark.parametrize("answer", ["closed", "none"])
async def test_a_command_without_an_answer_is_not_sent_again_and_may_have_been_carried_out(answer: str) -> None:
    async def none(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    part = feed(CUT, head=b"") if answer == "closed" else none
    limits = ClientLimits() if answer == "closed" else ClientLimits(answer_s=0.5)
    async with scripted(part) as server, Batkol(server.url, limits=limits) as batkol:
        with pytest.raises(UncertainError, match="may have carried"):
            await batkol.call(SID).say("שלום")

    assert len(server.asked) == 1


async def test_a_service_that_is_not_there_is_known_not_to_have_done_it() -> None:
    async with Batkol("http://127.0.0.1:1", give_up_s=0) as batkol:
        with pytest.raises(ServiceUnreachableError, match="cannot be reached"):
            await batkol.call(SID).say("שלום")


@pytest.mark.parametrize("sid", ["", "CA1/../../drain", "CA1?x=1", "א", "CA 1"])
async def test_a_sid_that_is_none_never_becomes_a_path(sid: str) -> None:
    async with Batkol("http://127.0.0.1:1") as batkol:
        with pytest.raises(ClientError, match="SID"):
            batkol.call(sid)


async def test_the_details_of_a_call_are_read_as_far_as_they_are_known() -> None:
    utterance = {"index": 0, "text": "שלום", "final": True, "source": "final", "mode": "streaming", "words": 1}
    shown: dict[str, Any] = {"call_sid": SID, "stream_sid": "MZ1", "seq": 7, "cursor": "b-9", "from": "+972500000001"}
    shown |= {"new": {}, "utterances": [utterance]}
    async with scripted(answered(shown)) as server, Batkol(server.url) as batkol:
        call = await batkol.call(SID).details()

    assert (call.seq, call.cursor, call.from_, call.agent) == (7, "b-9", "+972500000001", "")
    assert [(one.text, one.final) for one in call.utterances] == [("שלום", True)]
    assert server.asked[0].path == f"/v1/calls/{SID}"
