"""Pods that tell each other of the end of a call, over real sockets: each proves itself, and all are bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from batkol.fleet.addresses import Addresses
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.ends import PROOF_HEADER, PeerEnds
from batkol.fleet.others import OtherPods
from batkol.fleet.peers import HttpPods
from batkol.twilio import handover
from batkol.web import ends as route
from batkol.web.server import listening

KEY, OTHER = "the-auth-token", "another-auth-token"
SID = "CA" + "0" * 32
OWN = Endpoint("127.0.0.1", 1)  # nobody listens there: a pod that told itself would fail


@asynccontextmanager
async def pod(noted: list[str], keys: Sequence[str] = (KEY,)) -> AsyncIterator[Endpoint]:
    """Run a pod that notes the ends that it is told of; yield its address."""
    app = FastAPI()
    app.include_router(route.routes(noted.append, keys))
    async with listening(app, "127.0.0.1", 0) as port:
        yield Endpoint("127.0.0.1", port)


async def told(*at: Endpoint, within_s: float = 5.0) -> bool:
    """Tell these pods of the end of a call; return whether all know."""
    pods = HttpPods(answer_s=5.0)
    try:
        return await PeerEnds(OtherPods(pods, Addresses(at), lambda: OWN, within_s), (KEY,)).announce(SID)
    finally:
        await pods.aclose()


async def test_every_other_pod_is_told_once() -> None:
    one, another = list[str](), list[str]()
    async with pod(one) as at, pod(another, (OTHER, KEY)) as rotated:
        assert await told(OWN, at, rotated)

    assert one == another == [SID]


async def test_a_pod_with_another_auth_token_and_a_pod_that_is_gone_are_no_obstacle_to_the_others() -> None:
    strange, noted = list[str](), list[str]()
    with capture_logs() as logs:
        async with pod(strange, (OTHER,)) as stranger, pod(noted) as at:
            assert not await told(stranger, Endpoint("127.0.0.1", 2), at)

    assert (strange, noted) == ([], [SID])
    [line] = [line for line in logs if line["event"].startswith("[FLEET] a pod did not take the news")]
    assert line["log_level"] == "warning"


async def test_a_pod_that_hangs_is_waited_for_no_longer_than_the_bound() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the pod gives up
        writer.close()

    noted = list[str]()
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server, pod(noted) as at:
        assert not await told(Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]), at, within_s=0.5)

    assert noted == [SID]


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "x.y",
        handover.end_notice((OTHER,), SID, time.time()),
        handover.end_notice((KEY,), SID + "1", time.time()),
        handover.end_notice((KEY,), SID, time.time() - 3600),
        handover.question((KEY,), SID, time.time()),
    ],
    ids=["none", "nonsense", "another key", "another call", "too old", "a question"],
)
async def test_nobody_but_a_pod_of_the_agent_may_tell(proof: str) -> None:
    noted = list[str]()
    async with pod(noted) as at, httpx.AsyncClient(trust_env=False, verify=False) as http:
        answer = await http.put(f"http://{at}/v1/pod/ends/{SID}", headers={PROOF_HEADER: proof})

    assert (answer.status_code, noted) == (403, [])
