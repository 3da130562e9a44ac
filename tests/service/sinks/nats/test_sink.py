"""Events on JetStream, over sockets, to a double of a NATS server; tests/e2e/real/test_nats.py has a real one."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from batkol.backoff import Backoff
from batkol.sinks.cloud_event import encode
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.nats.connection import NatsLimits
from batkol.sinks.nats.sink import NatsSink
from support.http.tls import CERTIFICATE, server_side
from support.nats.double import NatsDouble, Rules
from support.nats.keys import CREDENTIALS, JWT, NKEY, SEED
from support.sinks.batch import BEHIND, deliver
from support.sinks.envelopes import TEXT, final, finals
from support.time.waiting import eventually, until

LIMITS: Final = NatsLimits(connect_s=20.0, ack_s=20.0, backoff=Backoff(0.0, 0.0), at_once=4)
"""Longer than a busy machine takes."""
SHORT: Final = replace(LIMITS, ack_s=0.2)


@asynccontextmanager
async def sink_to(*urls: str, **options: Any) -> AsyncIterator[NatsSink]:
    async with aclosing(NatsSink("bus", urls, **{"limits": LIMITS, **options})) as made, asyncio.timeout(40):
        yield made


@asynccontextmanager
async def publishing(rules: Rules | None = None, **options: Any) -> AsyncIterator[tuple[NatsSink, NatsDouble]]:
    """A sink, and the server that it publishes to, with a stream for its subjects."""
    async with NatsDouble(rules) as server, sink_to(server.url, **options) as sink:
        server.jetstream.add("batkol", "batkol.>")
        yield sink, server


def stored(server: NatsDouble) -> list[str]:
    return [message.headers["Nats-Msg-Id"] for message in server.jetstream.streams["batkol"].messages]


async def stored_now(sink: NatsSink, event: Envelope) -> bool:
    return await deliver(sink, [event]) == [Delivered()]


def reason(outcomes: Any) -> str:
    """Return the reason of the one event, which is to be tried again."""
    (outcome,) = outcomes
    assert isinstance(outcome, Later)
    return outcome.reason


async def test_an_event_is_stored_under_the_subject_of_its_agent_and_type_with_its_id() -> None:
    async with publishing() as (sink, server):
        assert await deliver(sink, [final("MZ7", 12, agent="front.desk")]) == [Delivered()]
        (message,) = server.jetstream.streams["batkol"].messages
        assert message.subject == "batkol.front%2Edesk.final"
        assert message.headers == {
            "Nats-Msg-Id": "MZ7-12", "Content-Type": "application/cloudevents+json; charset=UTF-8",
        }  # fmt: skip
        content = json.loads(message.data)
        assert (content["type"], content["data"]["text"]) == ("dev.batkol.final", TEXT)
        assert server.connected[0]["name"] == "batkol-bus"
    assert sink.name == "bus"


async def test_an_event_that_is_delivered_again_is_stored_once() -> None:
    async with publishing() as (sink, server):
        for _ in range(3):
            assert await deliver(sink, [final(), final(seq=2)]) == [Delivered()] * 2
        assert stored(server) == ["MZ1-1", "MZ1-2"]


async def test_each_stream_keeps_its_order_over_one_connection() -> None:
    async with publishing() as (sink, server):
        assert await deliver(sink, finals(streams=9, each=5)) == [Delivered()] * 45
        for stream in range(9):
            mine = [each for each in stored(server) if each.startswith(f"MZ{stream}-")]
            assert mine == [f"MZ{stream}-{seq}" for seq in range(1, 6)]
        assert len(server.connected) == 1


async def test_a_server_that_is_away_is_later_and_found_again_when_it_is_back() -> None:
    async with publishing() as (sink, server):
        assert await deliver(sink, [final()]) == [Delivered()]
        await server.kill()
        reason(await deliver(sink, [final(seq=2)]))  # it may hear of it just now
        for _ in range(3):
            assert "cannot be reached" in reason(await deliver(sink, [final(seq=2)]))
        await server.start()
        assert await deliver(sink, [final(seq=2)]) == [Delivered()]
        assert stored(server) == ["MZ1-1", "MZ1-2"]


async def test_a_server_that_dies_before_it_acknowledges_is_later_at_once_and_the_event_stored_once() -> None:
    """nats-py lets a request wait for its whole time although the connection is gone."""
    async with publishing(limits=NatsLimits(ack_s=600.0, backoff=Backoff(0.0, 0.0))) as (sink, server):
        server.acknowledges = False
        task = asyncio.create_task(deliver(sink, [final()]))
        await until(lambda: stored(server))
        await server.kill()
        assert "closed the connection before it acknowledged" in reason(await task)
        server.acknowledges = True
        await server.start()
        assert await deliver(sink, [final(), final(seq=2)]) == [Delivered()] * 2
        assert stored(server) == ["MZ1-1", "MZ1-2"]


async def test_nothing_that_was_published_while_the_server_was_away_arrives_later_by_itself() -> None:
    async with publishing() as (sink, server):
        assert await deliver(sink, [final()]) == [Delivered()]
        await server.kill()
        await deliver(sink, [final(seq=2)])
        await server.start()
        assert await deliver(sink, [final(seq=3)]) == [Delivered()]
        assert stored(server) == ["MZ1-1", "MZ1-3"]


async def test_without_a_stream_the_reason_says_which_subject_needs_one() -> None:
    async with NatsDouble() as server, sink_to(server.url, prefix="acme.voice") as sink:
        assert "has no JetStream stream for acme.voice.>" in reason(await deliver(sink, [final()]))
        server.jetstream.add("calls", "acme.>")
        assert await deliver(sink, [final()]) == [Delivered()]


async def test_the_stream_is_created_where_that_is_wanted_and_no_stream_is_changed() -> None:
    async with NatsDouble() as server:
        async with sink_to(server.url, prefix="acme.voice", creates_stream=True) as sink:
            assert await deliver(sink, [final()]) == [Delivered()]
            config = server.jetstream.streams["acme_voice"].config
            assert config["subjects"] == ["acme.voice.>"]
            assert config["max_age"] == 7 * 24 * 3600 * 10**9
            assert config["duplicate_window"] == 3600 * 10**9
        server.jetstream.streams["acme_voice"].config["max_age"] = 1
        async with sink_to(server.url, prefix="acme.voice", creates_stream=True) as sink:
            assert await deliver(sink, [final(seq=2)]) == [Delivered()]
        assert server.jetstream.streams["acme_voice"].config["max_age"] == 1


async def test_a_stream_that_cannot_be_created_says_why() -> None:
    async with NatsDouble() as server, sink_to(server.url, creates_stream=True) as sink:
        server.jetstream.add("other", "*.reception.final")
        assert "another stream has some of its subjects" in reason(await deliver(sink, [final()]))


async def test_a_full_stream_is_later_and_its_order_holds() -> None:
    async with publishing() as (sink, server):
        stream = server.jetstream.streams["batkol"]
        stream.full = "maximum messages exceeded"
        first, second = await deliver(sink, [final(), final(seq=2)])
        assert "the stream stores no more" in reason([first])
        assert second == BEHIND
        stream.full = ""
        assert await deliver(sink, [final(), final(seq=2)]) == [Delivered()] * 2


@pytest.mark.parametrize("limit", ["server", "stream"])
async def test_an_event_that_is_too_large_is_refused_and_the_connection_stays(limit: str) -> None:
    """The server counts the headers with the message, and closes the connection of one that sends too much."""
    large = final(text="x" * 900)
    size = len(encode(large))
    rules = Rules(max_payload=size) if limit == "server" else None
    async with publishing(rules) as (sink, server):
        if limit == "stream":
            server.jetstream.streams["batkol"].config["max_msg_size"] = size
        outcomes = await deliver(sink, [large, final(seq=2, text="x"), final(seq=3, text="x" * 950)])
        assert [type(outcome) for outcome in outcomes] == [Refused, Delivered, Refused]
        assert stored(server) == ["MZ1-2"]
        assert len(server.connected) == 1


async def test_an_event_that_just_fits_is_stored() -> None:
    """No event is refused that the server would take: bar the room kept for headers."""
    sizes: list[type[DeliveryOutcome]] = []
    for room in (-1, 0):
        event = final(text="x" * 2000)
        async with publishing() as (sink, server):
            await deliver(sink, [event])
            whole = len(server.jetstream.streams["batkol"].messages[0].data) + len(event.id) + 128
        async with publishing(Rules(max_payload=whole + room)) as (sink, server):
            sizes += [type(outcome) for outcome in await deliver(sink, [event])]
    assert sizes == [Refused, Delivered]


async def test_a_server_that_acknowledges_nothing_is_later_and_the_rest_is_not_tried() -> None:
    async with publishing(limits=SHORT) as (sink, server):
        server.acknowledges = False
        outcomes = await deliver(sink, finals(streams=20, each=1))
        assert "did not acknowledge the event within 0.2 s" in reason(outcomes[:1])
        assert all(isinstance(outcome, Later) for outcome in outcomes)
        assert len(stored(server)) <= 2 * SHORT.at_once


async def test_a_server_that_does_not_read_is_later() -> None:
    async with publishing(limits=SHORT) as (sink, server):
        await eventually(lambda: stored_now(sink, final()))
        server.reads = False
        assert "did not acknowledge" in reason(await deliver(sink, [final(seq=2, text="x" * 500_000)]))


async def test_a_subject_that_is_not_permitted_is_said_to_be() -> None:
    async with publishing(Rules(publish=["_INBOX.>", "$JS.API.>"]), limits=SHORT) as (sink, _):
        said = ""

        async def is_answered() -> bool:
            nonlocal said
            said = reason(await deliver(sink, [final()]))
            return "did not acknowledge" not in said

        await eventually(is_answered)
        assert "does not permit this user to publish" in said


@pytest.mark.parametrize(
    ("rules", "secret", "wrong"),
    [
        (Rules(user="batkol:p@ss:word"), "batkol:p@ss:word", "batkol:another"),
        (Rules(token="t0ken"), "t0ken", "an0ther"),
        (Rules(nkey=NKEY), SEED, ""),
        (Rules(nkey=NKEY, jwt=JWT), CREDENTIALS, SEED),
    ],
    ids=["user", "token", "nkey", "credentials file"],
)
async def test_credentials_of_each_kind_are_shown_and_wrong_ones_are_said_to_be_refused(
    rules: Rules, secret: str, wrong: str
) -> None:
    async with publishing(rules, secret=secret) as (sink, server):
        assert await deliver(sink, [final()]) == [Delivered()]
        async with sink_to(server.url, secret=wrong) as other:
            text = reason(await deliver(other, [final()]))
            assert "refuses the credentials" in text
            assert not wrong or wrong not in text


async def test_a_password_that_was_changed_is_later_until_it_fits() -> None:
    """nats-py closes for good then."""
    async with publishing(Rules(token="old"), secret="old") as (sink, server):
        assert await deliver(sink, [final()]) == [Delivered()]
        server.rules.token = "new"
        await server.kill()
        await server.start()
        assert "refuses the credentials" in reason(await deliver(sink, [final(seq=2)]))
        server.rules.token = "old"
        assert await deliver(sink, [final(seq=2)]) == [Delivered()]


async def test_with_tls_the_certificate_is_checked(tmp_path: Path) -> None:
    async with NatsDouble(tls=server_side(tmp_path)) as server:
        server.jetstream.add("batkol", "batkol.>")
        async with sink_to(server.url) as sink:
            assert "failed the TLS handshake" in reason(await deliver(sink, [final()]))
        assert server.connected == []

        def trusting() -> ssl.SSLContext:
            return ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))

        async with sink_to(server.url, tls=trusting) as sink:
            assert await deliver(sink, [final()]) == [Delivered()]


async def test_a_server_without_tls_is_shown_nothing_where_the_url_asks_for_tls() -> None:
    async with NatsDouble() as server:
        async with sink_to(server.url.replace("nats://", "tls://"), secret="a-token") as sink:
            assert "has no TLS" in reason(await deliver(sink, [final()]))
        assert server.connected == []


async def test_another_server_of_the_cluster_is_asked_where_one_is_away() -> None:
    async with NatsDouble() as first, NatsDouble() as second:
        second.jetstream = first.jetstream
        first.jetstream.add("batkol", "batkol.>")
        async with sink_to(first.url, second.url) as sink:
            assert await deliver(sink, [final()]) == [Delivered()]
            await first.kill()
            await deliver(sink, [final(seq=2)])
            assert await deliver(sink, [final(seq=2)]) == [Delivered()]
            assert len(second.connected) == 1


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"INFO 7\r\n", b"INFO {]\r\n", b"INFO {}\r\n", bytes(100_000)]
)
async def test_what_is_no_nats_server_is_later(said: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.write_eof()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with sink_to(f"nats://127.0.0.1:{port}", limits=replace(LIMITS, connect_s=0.3)) as sink:
            assert reason(await deliver(sink, [final()])).startswith(f"The NATS server nats://127.0.0.1:{port} ")


async def test_while_attempts_fail_the_server_is_left_alone_for_a_while() -> None:
    limits = NatsLimits(connect_s=20.0, backoff=Backoff(60.0, 60.0))
    async with publishing(Rules(token="t"), limits=limits) as (sink, server):
        first = reason(await deliver(sink, [final()]))
        assert reason(await deliver(sink, [final()])) == first
        assert len(server.connected) == 1


@pytest.mark.parametrize("prefix", ["", "batkol.", "a..b", "batkol.>", "a b", "$JS"])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="must be words"):
        NatsSink("bus", ["nats://127.0.0.1"], prefix)
