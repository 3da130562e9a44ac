"""Twilio comes by a real ingress controller, with TLS: traefik, by the agent's Ingress and by its HTTPRoute.

The calls outlast traefik's own time-out for reading (60 s), and everything orderly that happens to it, to its
certificate, and to the pods behind it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.simulators.twilio.caller import Caller, CallOutcome, CallPlan
from batkol.simulators.twilio.signature import sign
from support.node import traefik
from support.node.agent import GREETING, HELLO, NAME, NAMESPACE, PUBLIC, TALK, TOKEN, Agent, Way, is_ready
from support.node.authority import Authority
from support.node.shell import apply, get, kubectl, restart_operator
from support.node.truth import polled
from support.service.stack import words_of
from support.time.waiting import eventually

SHORT_S, LONG_S = 65, 600
INGRESS = {"className": traefik.NAME, "tlsSecretName": traefik.CERTIFICATE}
ROUTE = {"parentRefs": [{"name": traefik.NAME, "namespace": traefik.NAMESPACE}]}
BY_INGRESS = PUBLIC, {"ingress": INGRESS, "httpRoute": None}
BY_ROUTE = f"{PUBLIC}/clinic", {"httpRoute": ROUTE, "ingress": None}
"""The public URL has a path, which the route takes away: of the webhook, and of the WebSocket."""

Edge = tuple[Agent, Authority, httpx.AsyncClient]


@pytest.fixture
async def edge(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Edge]:
    """traefik in front of the agent; callers trust the tests' authority alone."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))  # of the WebSocket
    await traefik.deploy()
    await restart_operator()  # it finds the Gateway API
    issued = authority.issue([traefik.HOST, traefik.OTHER])
    await traefik.certify(issued, NAMESPACE, traefik.NAMESPACE)
    await apply(*traefik.gateway())
    with traefik.resolved(await traefik.address()):
        each = httpx.Limits(max_keepalive_connections=0)  # a connection of its own, as Twilio's
        async with httpx.AsyncClient(verify=authority.trusted(), trust_env=False, timeout=15, limits=each) as http:
            yield agent, authority, http
    await agent.patch(exposure=None, networkPolicy=None, twilio={"publicBaseUrl": PUBLIC})


async def exposed(edge: Edge, by: tuple[str, Any]) -> Way:
    """Expose the agent to the ingress controller alone, and wait until callers are answered by it."""
    agent, _, http = edge
    public, exposure = by
    await agent.patch(
        exposure=exposure,
        twilio={"publicBaseUrl": public},
        networkPolicy={"ingressNamespaces": [traefik.NAMESPACE]},
        calls={"drainTimeoutSeconds": traefik.LONGEST_S},
    )
    await agent.until("Ready")  # of this generation: the pods are being replaced by now
    await agent.settled()
    await eventually(lambda: _answers(http, f"{public}/twilio/voice", 405), 120)
    return Way(public, http)


async def _answers(http: httpx.AsyncClient, url: str, status: int) -> bool:
    """Whether this is the answer; none is there as long as traefik has no certificate for the host."""
    try:
        return (await http.get(url)).status_code == status
    except httpx.HTTPError:
        return False


async def configuration_changed(agent: Agent, _authority: Authority, http: httpx.AsyncClient) -> None:
    """Another Ingress comes: traefik takes up a whole new configuration."""
    backend = {"service": {"name": NAME, "port": {"name": "public"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec = {
        "ingressClassName": traefik.NAME,
        "tls": [{"hosts": [traefik.OTHER], "secretName": traefik.CERTIFICATE}],
        "rules": [{"host": traefik.OTHER, "http": {"paths": [path]}}],
    }
    metadata = {"name": "other", "namespace": NAMESPACE}
    url = f"https://{traefik.OTHER}/twilio/voice"
    assert await _answers(http, url, 404)
    await apply({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec})
    await eventually(lambda: _answers(http, url, 405))
    await agent.kubectl("delete", "ingress", "other")
    await eventually(lambda: _answers(http, url, 404))


async def certificate_renewed(_agent: Agent, authority: Authority, _http: httpx.AsyncClient) -> None:
    issued = authority.issue([traefik.HOST, traefik.OTHER])
    await traefik.certify(issued, NAMESPACE, traefik.NAMESPACE)

    async def shown() -> bool:
        _, writer = await asyncio.open_connection(traefik.HOST, 443, ssl=authority.trusted())
        serial = int(writer.get_extra_info("peercert")["serialNumber"], 16)
        writer.close()
        return serial == issued.serial

    await eventually(shown)


async def endpoints_changed(agent: Agent, _authority: Authority, _http: httpx.AsyncClient) -> None:
    """A pod comes, and the others stay: the one that has the call, too, if it ends already."""
    await agent.patch(scaling={"replicas": 3})

    async def there() -> bool:
        return sum(is_ready(pod) for pod in await agent.pods()) == 3

    await eventually(there, 240)


async def agent_rolled(agent: Agent, _authority: Authority, _http: httpx.AsyncClient) -> None:
    await agent.kubectl("rollout", "restart", f"deployment/{NAME}")
    await agent.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=240s")


async def traefik_rolled(_agent: Agent, _authority: Authority, _http: httpx.AsyncClient) -> None:
    where = f"--namespace={traefik.NAMESPACE}"
    before = await _pods()
    await kubectl(where, "rollout", "restart", f"deployment/{traefik.NAME}")
    await kubectl(where, "rollout", "status", f"deployment/{traefik.NAME}", "--timeout=240s")
    assert before & await _pods(), "the one that has the call is there as long as that"


async def _pods() -> set[str]:
    found = await get(f"--namespace={traefik.NAMESPACE}", "pods")
    return {pod["metadata"]["name"] for pod in found["items"]}


ORDERLY: tuple[Callable[[Agent, Authority, httpx.AsyncClient], Awaitable[None]], ...] = (
    configuration_changed, certificate_renewed, endpoints_changed, agent_rolled, traefik_rolled,
)  # fmt: skip


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("by", "seconds"),
    [
        pytest.param(BY_INGRESS, SHORT_S, id="ingress"),
        pytest.param(BY_ROUTE, SHORT_S, id="route"),
        pytest.param(BY_INGRESS, LONG_S, id="ingress-ten-minutes", marks=pytest.mark.nightly),
    ],
)
async def test_a_call_outlasts_all_that_is_orderly_at_the_ingress(
    edge: Edge, by: tuple[str, Any], seconds: int
) -> None:
    agent, way = edge[0], await exposed(edge, by)
    over, said = asyncio.Event(), 0

    async def talk(caller: Caller) -> None:
        """Go on talking, so that every one of these words can be missed."""
        nonlocal said
        while not over.is_set() or caller.report.frames_sent * caller.plan.frame_s < seconds:
            await caller.say(TALK.mulaw)
            said += 1

    async with polled(agent) as truth:
        calls = await agent.call(1, way=way, script=talk)
        await calls.spoken(6)  # the caller is greeted, and speaks
        for happens in ORDERLY:
            await happens(*edge)
            during = await agent.call(1, HELLO, way)
            await during.over()
            assert during.cut() == [], f"a new call is taken ({happens.__name__})"
            assert not calls.tasks[0].done(), f"the call is on ({happens.__name__})"
        over.set()
        (report,) = await calls.over()

        assert calls.cut() == []
        assert report.frames_sent * report.frame_s >= seconds
        assert report.streams == 1
        assert report.ear.texts().count(GREETING) == 1
        assert await calls.kept(TALK, said) == [words_of(TALK) * said]
        await agent.settled()
    assert truth.lies == []
    assert truth.looks > 20


async def test_what_dies_takes_its_calls_along_and_nothing_else(edge: Edge) -> None:
    """Only the rules for a lost connection are left: the words until then are kept, and the next call is taken."""
    agent, way = edge[0], await exposed(edge, BY_INGRESS)
    before = {pod["metadata"]["uid"] for pod in await agent.pods()}
    calls = await agent.call(1, way=way)
    await calls.spoken(17)  # two utterances are over

    await kubectl(f"--namespace={traefik.NAMESPACE}", "delete", "pods", "--all", "--grace-period=0", "--force")
    (report,) = await calls.over()
    assert (report.ends[0].by, report.ends[0].code) == ("server", 1006)

    async def kept() -> bool:
        return len(await agent.texts(report.call_sid)) >= 2

    await eventually(kept)
    texts = await agent.texts(report.call_sid)
    assert texts[:2] == words_of(TALK)[:2]
    await kubectl(f"--namespace={traefik.NAMESPACE}", "rollout", "status", f"deployment/{traefik.NAME}")
    after = await agent.call(1, HELLO, way)
    await after.over()
    assert after.cut() == []
    assert {pod["metadata"]["uid"] for pod in await agent.pods()} == before


async def test_signatures_are_checked_behind_the_ingress_whatever_it_forwards(edge: Edge) -> None:
    """Twilio signs the public URL. What says otherwise in a header is nobody's word."""
    _, authority, http = edge
    await exposed(edge, BY_INGRESS)
    wrong = CallPlan(base_url=PUBLIC, auth_token="another-token", audio=HELLO.mulaw)
    report = await Caller(wrong, http=http).run()
    assert (report.outcome, report.http_status) == (CallOutcome.WEBHOOK_FAILED, 403)

    url, form = f"{PUBLIC}/twilio/voice", {"CallSid": "CA" + "1" * 32, "AccountSid": "AC" + "0" * 32}
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"}
    form |= {"From": "+972500000001", "To": "+972300000001", "CallStatus": "ringing", "Direction": "inbound"}
    for signed, status in ((url, 200), ("http://evil.example/evil/twilio/voice", 403)):
        headers = {**forged, "X-Twilio-Signature": sign(TOKEN, signed, form.items())}
        answer = await http.post(url, data=form, headers=headers)
        assert answer.status_code == status, answer.text
    for plain in (PUBLIC.replace("https", "http"), f"{PUBLIC}/v1/status", f"{PUBLIC}/readyz", f"{PUBLIC}/metrics"):
        assert await _is_closed(http, plain), plain
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(
            await traefik.address(), 443, ssl=authority.trusted(), server_hostname="x.example"
        )


async def _is_closed(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 404
    except httpx.ConnectError:
        return True
