"""Signed webhooks, over sockets, to a receiver that verifies each by the official library and answers as it likes."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from batkol.sinks.delivery import Delivered, Envelope, Later, Refused
from batkol.sinks.webhook.sink import WebhookLimits, WebhookSink
from support.http.hostile_server import WAYS, hostile_http
from support.http.tls import CERTIFICATE, server_side
from support.http.webhook_receiver import DIE, DIE_IN_BODY, FLOOD, GARBAGE, HANG, Receiver, receiving, status
from support.sinks.batch import BEHIND, deliver
from support.sinks.envelopes import final, finals
from support.time.waiting import eventually, until

SECRET: Final = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
NEXT: Final = f"whsec_{base64.b64encode(bytes(range(32, 64))).decode()}"
SHORT: Final = WebhookLimits(timeout_s=0.15, at_once=4)
SLOW: Final = {"no answer", "dripping head", "preliminary answers"}
"""Ways that have no status: a busy machine may be later than `SHORT` with any other."""


@asynccontextmanager
async def sink_to(url: str, *secrets: str, **options: Any) -> AsyncIterator[WebhookSink]:
    async with aclosing(WebhookSink("crm", url, secrets or (SECRET,), **options)) as made, asyncio.timeout(40):
        yield made


@asynccontextmanager
async def sending(*answers: Any, **options: Any) -> AsyncIterator[tuple[WebhookSink, Receiver]]:
    """A sink, and the receiver that it sends to, with its first answers."""
    async with receiving(SECRET) as receiver, sink_to(receiver.url, **options) as sink:
        receiver.answers = list(answers)
        yield sink, receiver
        assert receiver.violations == []


async def test_an_event_arrives_signed_and_with_its_own_id() -> None:
    async with sending() as (sink, receiver):
        assert await deliver(sink, [final("MZ7", 12)]) == [Delivered()]
        (request,) = receiver.requests
        assert request.path == "/events"
        assert request.headers["webhook-id"] == "MZ7-12"
        assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
        assert request.headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
        assert (receiver.events[0]["type"], receiver.events[0]["data"]["type"]) == ("dev.batkol.final", "final")
    assert sink.name == "crm"


async def test_both_secrets_sign_while_one_replaces_the_other() -> None:
    """So it is verified by a receiver that has the old one alone, and by one that has the new one alone."""
    async with receiving(SECRET, NEXT) as receiver, sink_to(receiver.url, NEXT, SECRET) as sink:
        assert await deliver(sink, [final()]) == [Delivered()]
        assert len(receiver.requests[0].headers["webhook-signature"].split(" ")) == 2
    assert receiver.violations == []


async def test_a_receiver_with_another_secret_finds_no_signature_of_its_own() -> None:
    """The receiver of these tests does verify."""
    async with receiving(NEXT) as receiver, sink_to(receiver.url, SECRET) as sink:
        await deliver(sink, [final()])
    assert receiver.violations == ["No matching signature found"]


async def test_a_later_attempt_has_the_same_id_and_a_timestamp_and_signature_of_its_own() -> None:
    now = time.time()
    times = [now, now, now + 100.0, now + 100.0]
    async with sending(status(500), now=lambda: times.pop(0) if times else now) as (sink, receiver):
        assert isinstance((await deliver(sink, [final()]))[0], Later)
        assert await deliver(sink, [final()]) == [Delivered()]
        first, second = (request.headers for request in receiver.requests)
        assert first["webhook-id"] == second["webhook-id"]
        assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 100
        assert first["webhook-signature"] != second["webhook-signature"]


async def test_a_redirect_is_never_followed() -> None:
    async with sending(status(307, "Location: /elsewhere")) as (sink, receiver):
        (outcome,) = await deliver(sink, [final()])
        assert isinstance(outcome, Refused)
        assert "redirect" in outcome.reason
        assert [request.path for request in receiver.requests] == ["/events"]


async def test_each_outcome_belongs_to_its_event_and_only_its_own_stream_waits() -> None:
    events = [final("MZ1", 1), final("MZ2", 1), final("MZ1", 2), final("MZ2", 2)]
    async with sending(limits=WebhookLimits(at_once=2)) as (sink, receiver):
        by_id = {"MZ1-1": status(503), "MZ2-1": status(410), "MZ2-2": status(200, body=b"thanks")}

        async def answer(_: Receiver, writer: asyncio.StreamWriter) -> bool:
            return await by_id[receiver.ids[-1]](receiver, writer)

        receiver.otherwise = answer
        first, second, third, fourth = await deliver(sink, events)
        assert (isinstance(first, Later), isinstance(second, Refused)) == (True, True)
        assert third == BEHIND
        assert fourth == Delivered()
        assert "MZ1-2" not in receiver.ids


async def test_streams_go_side_by_side_over_connections_that_are_kept() -> None:
    gate = asyncio.Event()
    async with sending(limits=WebhookLimits(at_once=3)) as (sink, receiver):

        async def answer(_: Receiver, writer: asyncio.StreamWriter) -> bool:
            await gate.wait()
            return await status(204)(receiver, writer)

        receiver.otherwise = answer
        task = asyncio.create_task(deliver(sink, finals(streams=7, each=3)))
        await until(lambda: len(receiver.requests) == 3)
        gate.set()
        assert await task == [Delivered()] * 21
        assert receiver.most_at_once == 3
        assert receiver.connections == 3
        for stream in range(7):
            assert [each for each in receiver.ids if each.startswith(f"MZ{stream}-")] == [
                f"MZ{stream}-{seq}" for seq in (1, 2, 3)
            ]


async def test_a_receiver_that_hangs_costs_a_time_out_and_the_rest_of_the_batch_is_not_tried() -> None:
    async with sending(limits=SHORT) as (sink, receiver):
        receiver.otherwise = HANG
        outcomes = await deliver(sink, finals(streams=20, each=2))
        assert all(isinstance(outcome, Later) for outcome in outcomes)
        assert isinstance(outcomes[0], Later)
        assert outcomes[0].reason.endswith("did not answer within 0.15 s")
        assert len(receiver.requests) <= 2 * SHORT.at_once
        receiver.otherwise = status(204)
        await eventually(lambda: taken(sink, final("MZ9", 3)))


async def taken(sink: WebhookSink, event: Envelope) -> bool:
    return await deliver(sink, [event]) == [Delivered()]


@pytest.mark.parametrize("answer", [DIE, GARBAGE])
async def test_an_answer_that_is_none_is_tried_once_more_at_once_and_then_later(answer: Any) -> None:
    """A kept connection that the receiver closed looks the same, and costs no event its time."""
    async with sending(answer, answer) as (sink, receiver):
        (outcome,) = await deliver(sink, [final()])
        assert isinstance(outcome, Later)
        assert "cannot be reached" in outcome.reason
        assert receiver.ids == ["MZ1-1", "MZ1-1"]
        assert len({request.headers["webhook-timestamp"] for request in receiver.requests}) == 1
    async with sending(answer) as (sink, receiver):
        assert await deliver(sink, [final()]) == [Delivered()]


async def test_what_is_accepted_is_delivered_however_its_answer_ends() -> None:
    async with sending(FLOOD, DIE_IN_BODY) as (sink, receiver):
        assert await deliver(sink, [final("MZ1", 1)]) == [Delivered()]
        await until(lambda: not receiver._open)
        assert receiver.flooded < 32 << 20  # the sockets' buffers, and what four reads take
        assert await deliver(sink, [final("MZ1", 2), final("MZ1", 3)]) == [Delivered()] * 2
        assert receiver.ids == ["MZ1-1", "MZ1-2", "MZ1-3"]


async def test_a_connection_that_the_receiver_has_closed_costs_no_event_its_time() -> None:
    async with receiving(SECRET) as receiver, sink_to(receiver.url) as sink:
        assert await deliver(sink, [final("MZ1", 1)]) == [Delivered()]
        await receiver.end()
        assert await deliver(sink, [final("MZ1", 2)]) == [Delivered()]
        assert receiver.connections == 2


async def test_a_receiver_that_is_not_there_is_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
    async with sink_to(url) as sink:
        (outcome,) = await deliver(sink, [final()])
        assert isinstance(outcome, Later)
        assert "cannot be reached (ConnectionRefusedError); check its URL" in outcome.reason
        assert outcome.after_s is None


async def test_with_tls_the_certificate_is_checked_and_an_authority_of_ones_own_may_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(SECRET, tls=server_side(tmp_path)) as receiver:
        async with sink_to(receiver.url) as sink:
            (refused,) = await deliver(sink, [final()])
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / CERTIFICATE))
        async with sink_to(receiver.url) as sink:
            assert await deliver(sink, [final()]) == [Delivered()]

    assert isinstance(refused, Later)
    assert "failed the TLS handshake (SSLCertVerificationError); check its certificate" in refused.reason
    assert (receiver.ids, receiver.violations) == (["MZ1-1"], [])


async def test_a_receiver_that_asks_for_a_pause_has_it_from_all_streams() -> None:
    clock = [1000.0]
    async with sending(status(429, "Retry-After: 60"), clock=lambda: clock[0]) as (sink, receiver):
        (limited,) = await deliver(sink, [final("MZ1")])
        assert isinstance(limited, Later)
        assert limited.after_s == 60
        clock[0] += 20
        (held,) = await deliver(sink, [final("MZ2")])
        assert isinstance(held, Later)
        assert held.after_s == 40
        assert "asked for no requests before" in held.reason
        assert len(receiver.requests) == 1
        clock[0] += 40
        assert await deliver(sink, [final("MZ2"), final("MZ1")]) == [Delivered()] * 2


@pytest.mark.parametrize(
    "way",
    [
        "dripping head",
        *(pytest.param(way, marks=pytest.mark.nightly) for way in WAYS if way != "dripping head"),
    ],
)
async def test_a_hostile_receiver_costs_little_and_no_exception(way: str) -> None:
    limits = SHORT if way in SLOW else WebhookLimits()
    async with hostile_http(way) as server, sink_to(f"{server.url}/", limits=limits) as sink:
        (outcome,) = await deliver(sink, [final()])
        accepted = way in {"drip", "flood", "bomb", "cut off"}  # whose status is 200
        assert isinstance(outcome, Delivered if accepted else Refused if way == "redirects" else Later)
        await server.check()


async def test_no_reason_shows_what_is_secret_in_a_url_and_the_login_goes_into_a_header() -> None:
    async with receiving(SECRET) as receiver:
        url = receiver.url.replace("://", "://user:pass%40word@").replace("/events", "/hooks/s3cret?key=s3cret")
        async with sink_to(url) as sink:
            for code in (500, 404, 302):
                receiver.answers = [status(code)]
                (outcome,) = await deliver(sink, [final()])
                assert isinstance(outcome, Later | Refused)
                assert not any(each in outcome.reason for each in ("s3cret", "user", "pass"))
            assert receiver.requests[0].headers["authorization"] == (
                f"Basic {base64.b64encode(b'user:pass@word').decode()}"
            )
            assert receiver.requests[0].query == {"key": "s3cret"}
    assert receiver.violations == []


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving(SECRET) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/events"))
        async with sink_to("http://crm.invalid/events") as sink:
            assert await deliver(sink, [final()]) == [Delivered()]
        assert proxy.requests[0].headers["host"] == "crm.invalid"
    assert proxy.violations == []


async def test_cancelling_a_delivery_closes_its_connections() -> None:
    async with sending(limits=WebhookLimits(at_once=3)) as (sink, receiver):
        receiver.otherwise = HANG
        task = asyncio.create_task(deliver(sink, finals(streams=3, each=1)))
        await until(lambda: len(receiver._open) == 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not receiver._open)
        receiver.otherwise = status(204)
        assert await deliver(sink, [final()]) == [Delivered()]


@pytest.mark.parametrize(
    ("url", "secret", "words"),
    [
        ("ftp://crm.example.com", SECRET, "must be https://"),
        ("https://a b@c/", SECRET, "is ambiguous"),
        ("https://crm.example.com", "whsec_short", "must be whsec_"),
    ],
)
def test_settings_that_cannot_work_are_refused(url: str, secret: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WebhookSink("crm", url, [secret])


async def test_the_words_of_an_event_are_in_its_body_alone() -> None:
    async with sending() as (sink, receiver):
        await deliver(sink, [final(text="סוד")])
        (request,) = receiver.requests
        assert "סוד" in json.loads(request.body)["data"]["text"]
        assert "סוד" not in repr(request.headers)
