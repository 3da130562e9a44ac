"""Pods that ask each other what was said in a call, over real sockets: each proves itself, and all are bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
from fastapi import FastAPI, Request, Response
from structlog.testing import capture_logs

from batkol.answering.answerer import HistoryMessage, Role
from batkol.calls.handovers import Handovers, StreamSoFar
from batkol.conversation.history import ConversationSoFar
from batkol.events.identity import Identity
from batkol.fleet.addresses import Addresses
from batkol.fleet.conversations import ANSWER_HEADER, QUESTION_HEADER, PeerConversations
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.others import OtherPods
from batkol.fleet.peers import HttpPods
from batkol.twilio import handover
from batkol.web import handover as route
from batkol.web.server import listening

KEY, OTHER = "the-auth-token", "another-auth-token"
SID = "CA" + "0" * 32
SAID = ConversationSoFar(messages=(HistoryMessage(Role.AGENT, "שלום"),), turns=1, greeted=True)
NOWHERE = Endpoint("127.0.0.1", 1)


class NoCalls:
    def get(self, call_sid: str) -> None: ...


@asynccontextmanager
async def pod(keys: Sequence[str] = (KEY,), number: int = 1) -> AsyncIterator[Endpoint]:
    """Run a pod that remembers a stream of the call; yield its address."""
    own = Handovers(NoCalls(), "reception")  # type: ignore[arg-type]
    stream = Identity(call_sid=SID, stream_sid=f"MZ{number}", account_sid="AC", agent="reception", stream=number)
    own._remember(stream, SAID)
    app = FastAPI()
    app.include_router(route.routes(own, keys))
    async with listening(app, "127.0.0.1", 0) as port:
        yield Endpoint("127.0.0.1", port)


async def told(*at: Endpoint, newest: int = 0, within_s: float = 5.0) -> list[StreamSoFar]:
    """Ask these pods."""
    pods = HttpPods(answer_s=5.0)
    try:
        asking = PeerConversations(OtherPods(pods, Addresses(at), lambda: NOWHERE, within_s), (KEY,))
        answers = await asking.streams_of(SID, newest)
    finally:
        await pods.aclose()
    return [each for answer in answers for each in msgspec.json.decode(answer, type=list[StreamSoFar])]


async def test_a_pod_tells_another_one_of_the_agent_what_was_said() -> None:
    async with pod() as at:
        assert await told(at, NOWHERE) == [
            StreamSoFar(agent="reception", stream_sid="MZ1", stream=1, conversation=SAID)
        ], "a pod that is gone is no obstacle"


async def test_a_pod_with_another_auth_token_tells_nothing_and_is_told_nothing() -> None:
    with capture_logs() as logs:
        async with pod((OTHER,)) as at:
            assert await told(at) == []

    assert [line for line in logs if "handed over" in line["event"]] == []


async def test_after_a_change_of_the_auth_token_pods_with_both_still_know_each_other() -> None:
    async with pod((OTHER, KEY)) as at, pod((KEY, OTHER)) as rotated:
        assert len(await told(rotated)) == 1
        assert await told(at) == [], "the answer's seal is the new one, which the asker has not"


@pytest.mark.parametrize("sealed", [False, True], ids=["without a seal", "with the seal of another answer"])
async def test_an_answer_that_no_pod_of_the_agent_has_sealed_is_ignored(sealed: bool) -> None:
    body = msgspec.json.encode([StreamSoFar(agent="reception", stream_sid="MZ1", stream=1, conversation=SAID)])
    app = FastAPI()

    @app.get("/v1/pod/conversations/{call_sid}")
    async def lie(call_sid: str, _: Request) -> Response:
        seal = handover.seal_answer((KEY,), call_sid, b"[]")
        return Response(body, 200, {ANSWER_HEADER: seal} if sealed else {})

    with capture_logs() as logs:
        async with listening(app, "127.0.0.1", 0) as port:
            assert await told(Endpoint("127.0.0.1", port)) == []

    [line] = [line for line in logs if "not sealed" in line["event"]]
    assert line["log_level"] == "warning"
    assert "remedy" in line


async def test_a_pod_that_hangs_is_waited_for_no_longer_than_the_bound_and_the_others_count() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the pod gives up
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    hanging = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    with capture_logs() as logs:
        async with pod(number=2) as at:
            assert len(await told(hanging, at, newest=2)) == 1, "nobody is waited for when the newest stream is there"
            assert logs == [line for line in logs if "handed over" in line["event"]]
            assert len(await told(hanging, at, newest=3, within_s=0.5)) == 1
    server.close()
    assert [line["event"] for line in logs if "in time" in line["event"]]


@pytest.mark.parametrize(
    "question",
    [
        "",
        "x.y",
        "99999999999.abc",
        handover.question((OTHER,), SID, time.time()),
        handover.question((KEY,), SID + "1", time.time()),
        handover.question((KEY,), SID, time.time() - 3600),
        handover.question((KEY,), SID, time.time() + 3600),
    ],
    ids=["none", "nonsense", "forged", "another key", "another call", "too old", "from the future"],
)
async def test_nobody_but_a_pod_of_the_agent_may_ask(question: str) -> None:
    async with pod() as at, httpx.AsyncClient(trust_env=False, verify=False) as http:
        answer = await http.get(f"http://{at}/v1/pod/conversations/{SID}", headers={QUESTION_HEADER: question})

    assert answer.status_code == 403
    assert "שלום" not in answer.text


def test_a_greeted_mark_is_for_one_call_and_for_those_who_have_the_token() -> None:
    mark = handover.greeted_mark((KEY,), SID)

    assert handover.is_greeted_mark((OTHER, KEY), SID, mark)
    assert not handover.is_greeted_mark((OTHER,), SID, mark)
    assert not handover.is_greeted_mark((KEY,), SID + "1", mark)
    assert not handover.is_greeted_mark((KEY,), SID, "")
    assert not handover.is_greeted_mark((KEY,), SID, "שלום")
