"""What is at a pod's address: a pod, another program, or one that does harm. Every question ends, and in one error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from batkol.fleet.endpoint import Endpoint, endpoint
from batkol.fleet.peers import FleetRequest, HttpPods, PodRequestError
from support.http.hostile_server import WAYS, hostile_http
from support.http.one_answer import answering, http

ASKING = FleetRequest("Bearer made-up", "type=final")
STRANGER = "It does not answer as Batkol does: another program has this address."
JSON = "Content-Type: application/json"


@asynccontextmanager
async def pods(answer_s: float = 5.0) -> AsyncIterator[HttpPods]:
    made = HttpPods(answer_s=answer_s)
    yield made
    await made.aclose()


def at(url: str) -> Endpoint:
    return endpoint(url.removeprefix("http://"))


async def test_a_pod_says_who_it_is() -> None:
    said = b'{"protocol":1,"pod":"p","version":"1.0","boot":"b","cursor":"b-7","more":1}'
    async with answering(http("200 OK", said, JSON)) as (url, asked), pods() as made:
        identity = await made.identify(at(url), ASKING, "CA/1?")

    assert (identity.pod, identity.boot, identity.newest, identity.call) == ("p", "b", 7, None)
    assert asked[0].startswith(b"GET /v1/pod?call_sid=CA%2F1%3F HTTP/1.1\r\n")
    assert b"authorization: Bearer made-up\r\n" in asked[0].lower().replace(b"bearer", b"Bearer")


@pytest.mark.parametrize(
    ("status", "kind", "body", "why"),
    [
        ("200 OK", "Content-Type: text/html", b"<html>", STRANGER),
        ("200 OK", JSON, b"{}", STRANGER),
        ("200 OK", JSON, b"[" * 10_000, STRANGER),
        ("401 Unauthorized", JSON, b"{}", "It refused the token."),
        ("403 Forbidden", JSON, b"{}", "It refused the token."),
        ("404 Not Found", JSON, b'{"detail":"Not Found"}', "It runs a version of Batkol that does not know the fleet."),
        ("404 Not Found", "Content-Type: text/html", b"<html>", "It answered 404."),
        ("302 Found", "Location: http://127.0.0.1:9/", b"", "It answered 302."),
        ("500 Internal Server Error", JSON, b"{}", "It answered 500."),
        (
            "200 OK",
            JSON,
            b'{"protocol":2,"pod":"p","version":"9.0","boot":"b","cursor":"b-7"}',
            "It runs a version of Batkol (9.0) that this pod does not know.",
        ),
    ],
)
async def test_what_is_no_pod_of_this_fleet_is_named(status: str, kind: str, body: bytes, why: str) -> None:
    async with answering(http(status, body, kind)) as (url, _), pods() as made:
        with pytest.raises(PodRequestError) as failed:
            await made.identify(at(url), ASKING)

    assert str(failed.value) == why


@pytest.mark.parametrize(
    ("boot", "cursor", "pod"),
    [
        ("b", "c-7", "p"),
        ("b", "", "p"),
        ("b", "b-x", "p"),
        ("b", "b-²", "p"),
        ("b", "b-" + "9" * 5000, "p"),
        ("", "-7", "p"),
        ("é", "é-7", "p"),
        ("a.b-1", "a.b-1-7", "p"),
        ("b\n\nevent: final", "b\n\nevent: final-7", "p"),
        ("b", "b-7", "p" * 254),
        ("b", "b-7", "p\n"),
    ],
)
async def test_a_pod_whose_place_no_cursor_can_hold_is_a_stranger(boot: str, cursor: str, pod: str) -> None:
    said = {"protocol": 1, "pod": pod, "version": "1.0", "boot": boot, "cursor": cursor}
    async with answering(http("200 OK", json.dumps(said).encode(), JSON)) as (url, _), pods() as made:
        with pytest.raises(PodRequestError) as failed:
            await made.identify(at(url), ASKING)

    assert str(failed.value) == STRANGER


async def test_a_feed_of_another_kind_is_none() -> None:
    async with answering(http("200 OK", b"{}", JSON)) as (url, asked), pods() as made:
        with pytest.raises(PodRequestError, match="another program"):
            async with made.follow(at(url), ASKING, "b-7"):
                pass

    assert asked[0].startswith(b"GET /v1/events?scope=pod&type=final HTTP/1.1\r\n")
    assert b"last-event-id: b-7\r\n" in asked[0].lower()


async def test_nothing_at_the_address_is_an_answer_too() -> None:
    async with pods() as made:
        with pytest.raises(PodRequestError, match=r"It did not answer \(ConnectError\)\."):
            await made.identify(Endpoint("127.0.0.1", 9), ASKING)


@pytest.mark.parametrize("way", WAYS)
async def test_a_program_that_does_harm_ends_no_differently(way: str) -> None:
    async with hostile_http(way) as server, pods(0.3) as made:
        with pytest.raises(PodRequestError):
            await made.identify(at(server.url), ASKING)
        await server.check()
