"""Events on a real nats-server with JetStream: each stored once, though it is restarted, killed, frozen, full, away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import nats
import pytest
from nats.js.api import DiscardPolicy

from batkol.backoff import Backoff
from batkol.events.bus import Bus
from batkol.events.events import PartialText
from batkol.rights import ALL_RIGHTS
from batkol.sinks.delivery import Delivered, Envelope, Later, Refused
from batkol.sinks.nats.connection import NatsLimits
from batkol.sinks.nats.sink import NatsSink
from support.http.tls import CERTIFICATE, server_side
from support.nats.keys import NKEY, SEED
from support.nats.server import Looker, NatsServer
from support.sinks.batch import deliver
from support.sinks.envelopes import final, finals
from support.time.waiting import eventually, until

SHORT: Final = NatsLimits(connect_s=2.0, ack_s=1.0, backoff=Backoff(0.0, 0.0), at_once=8)
CONSUMER: Final = Path(__file__).parents[3] / "examples" / "nats_consumer.py"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """With a stream for the sink's subjects."""
    async with NatsServer(tmp_path) as running:
        await running.add_stream("batkol", ["batkol.>"])
        yield running


@asynccontextmanager
async def sink_to(url: str, **options: Any) -> AsyncIterator[NatsSink]:
    made = NatsSink("bus", [url], **{"limits": SHORT, **options})
    try:
        yield made
    finally:
        await made.aclose()


async def ids(server: NatsServer, **options: Any) -> list[str]:
    return [message.id for message in await server.stored(**options)]


async def deliver_all(sink: NatsSink, events: list[Envelope]) -> int:
    """Deliver as the drainer does, until all are delivered; return how many rounds it took."""
    waiting, rounds = list(events), 0
    while waiting:
        rounds += 1
        outcomes = await deliver(sink, waiting)
        assert not any(isinstance(outcome, Refused) for outcome in outcomes)
        waiting = [event for event, outcome in zip(waiting, outcomes, strict=True) if isinstance(outcome, Later)]
        await asyncio.sleep(0.05 if waiting else 0)
    return rounds


def in_order(found: list[str], streams: int, each: int) -> bool:
    """Whether each stream has all its events once, in order."""
    return all(
        [one for one in found if one.startswith(f"MZ{stream}-")] == [f"MZ{stream}-{seq + 1}" for seq in range(each)]
        for stream in range(streams)
    )


async def test_events_are_stored_once_in_order_and_as_cloud_events(server: NatsServer) -> None:
    async with sink_to(server.url) as sink:
        events = finals(streams=5, each=20)
        assert await deliver(sink, events) == [Delivered()] * 100
        assert await deliver(sink, events) == [Delivered()] * 100
        found = await server.stored()
        assert len(found) == 100
        assert in_order([message.id for message in found], 5, 20)
        assert found[0].subject == "batkol.reception.final"
        assert json.loads(found[0].data)["type"] == "dev.batkol.final"


@pytest.mark.parametrize("how", ["kill", "restart"])
async def test_a_server_that_goes_in_the_middle_and_comes_back_has_each_event_once(
    server: NatsServer, how: str
) -> None:
    async with sink_to(server.url) as sink:
        async with Looker(server.url) as stream:
            task = asyncio.create_task(deliver_all(sink, finals(streams=8, each=150)))
            while (await stream.stream_info("batkol")).state.messages < 100:
                await asyncio.sleep(0)
        if how == "kill":
            await server.kill()
            await asyncio.sleep(0.5)
            await server.start()
        else:
            await server.restart()
        assert await task > 1, "it was over before the server went"
        found = await ids(server)
        assert len(found) == len(set(found)) == 1200
        assert in_order(found, 8, 150)


async def test_a_server_that_is_away_for_long_gets_what_waited(server: NatsServer) -> None:
    """An hour of the drainer's longest waits is some 60 attempts; here they come without the waits."""
    async with sink_to(server.url) as sink:
        await server.kill()
        for attempt in range(60):
            (outcome,) = await deliver(sink, [final(seq=1)])
            assert isinstance(outcome, Later), attempt
            assert "cannot be reached" in outcome.reason
        await server.start()
        assert await deliver(sink, [final(seq=1), final(seq=2)]) == [Delivered()] * 2
        assert await ids(server) == ["MZ1-1", "MZ1-2"]


async def test_a_frozen_server_is_later_and_an_event_that_it_stored_meanwhile_is_stored_once(
    server: NatsServer,
) -> None:
    async with sink_to(server.url) as sink:
        assert await deliver(sink, [final(seq=1)]) == [Delivered()]
        server.signal(signal.SIGSTOP)
        try:
            (outcome,) = await deliver(sink, [final(seq=2)])
        finally:
            server.signal(signal.SIGCONT)
        assert isinstance(outcome, Later)
        assert "did not acknowledge" in outcome.reason
        assert await deliver(sink, [final(seq=2), final(seq=3)]) == [Delivered()] * 2
        assert await ids(server) == ["MZ1-1", "MZ1-2", "MZ1-3"]


async def test_a_full_stream_is_later_until_it_has_room(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server, sink_to(server.url) as sink:
        await server.add_stream("batkol", ["batkol.>"], max_msgs=2, discard=DiscardPolicy.NEW)
        assert await deliver(sink, [final(seq=1), final(seq=2)]) == [Delivered()] * 2
        first, second = await deliver(sink, [final(seq=3), final(seq=4)])
        assert isinstance(first, Later)
        assert "the stream stores no more" in first.reason
        assert isinstance(second, Later)
        assert await deliver(sink, [final(seq=2)]) == [Delivered()], "what is stored already needs no room"


async def test_without_a_stream_it_is_later_with_the_subject_and_created_where_that_is_wanted(
    tmp_path: Path,
) -> None:
    async with NatsServer(tmp_path) as server:
        async with sink_to(server.url) as sink:
            (outcome,) = await deliver(sink, [final()])
            assert isinstance(outcome, Later)
            assert "has no JetStream stream for batkol.>" in outcome.reason
        async with sink_to(server.url, creates_stream=True) as first, sink_to(server.url, creates_stream=True) as other:
            both = await asyncio.gather(deliver(first, [final(seq=1)]), deliver(other, [final("MZ2")]))
            assert [*both[0], *both[1]] == [Delivered()] * 2
        assert len(await ids(server)) == 2


async def test_without_jetstream_it_is_later(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    configuration = tmp_path / "nats.conf"
    configuration.write_text(configuration.read_text().splitlines()[0])
    async with server, sink_to(server.url) as sink, sink_to(server.url, creates_stream=True) as creating:
        (outcome,), (other,) = await deliver(sink, [final()]), await deliver(creating, [final()])
        assert isinstance(outcome, Later)
        assert "has no JetStream stream" in outcome.reason
        assert isinstance(other, Later)
        assert "JetStream is off" in other.reason


@pytest.mark.parametrize("limit", ["max_payload: 1100", "max_msg_size"])
async def test_an_event_that_is_too_large_is_refused_and_the_others_go_on(tmp_path: Path, limit: str) -> None:
    lines = [] if limit == "max_msg_size" else [limit]
    config: dict[str, Any] = {} if lines else {"max_msg_size": 1100}
    async with NatsServer(tmp_path, *lines) as server, sink_to(server.url) as sink:
        await server.add_stream("batkol", ["batkol.>"], **config)
        outcomes = await deliver(sink, [final(text="x" * seq * 20, seq=seq) for seq in range(1, 40)])
        refused = [isinstance(outcome, Refused) for outcome in outcomes]
        assert not any(isinstance(outcome, Later) for outcome in outcomes)
        assert refused == sorted(refused)
        assert {True, False} == set(refused)
        assert len(await ids(server)) == refused.count(False)


@pytest.mark.parametrize(
    ("lines", "secret", "wrong"),
    [
        ('authorization { user: "batkol", password: "p@ss:word" }', "batkol:p@ss:word", "batkol:x"),
        ('authorization { token: "t0ken" }', "t0ken", "x"),
        (f'authorization {{ users: [ {{ nkey: "{NKEY}" }} ] }}', SEED, ""),
    ],
    ids=["user", "token", "nkey"],
)
async def test_credentials_are_those_that_a_real_server_takes(
    tmp_path: Path, lines: str, secret: str, wrong: str
) -> None:
    async with NatsServer(tmp_path, lines) as server:
        async with sink_to(server.url, secret=secret, creates_stream=True) as sink:
            assert await deliver(sink, [final()]) == [Delivered()]
        async with sink_to(server.url, secret=wrong) as sink:
            (outcome,) = await deliver(sink, [final()])
            assert isinstance(outcome, Later)
            assert "refuses the credentials" in outcome.reason


async def test_the_permissions_that_the_docs_ask_for_are_enough_and_without_them_the_reason_says_so(
    tmp_path: Path,
) -> None:
    enough = '{ publish: ["batkol.>", "batkol-live.>"], subscribe: ["_INBOX.>"] }'
    users = [
        f'{{ user: "batkol", password: "x", permissions: {enough} }}',
        '{ user: "mute", password: "x", permissions: { publish: ["other.>"], subscribe: ["_INBOX.>"] } }',
        '{ user: "deaf", password: "x", permissions: { publish: ["batkol.>"], subscribe: ["other.>"] } }',
        '{ user: "admin", password: "x" }',
    ]
    async with NatsServer(tmp_path, f"authorization {{ users: [ {', '.join(users)} ] }}") as server:
        await server.add_stream("batkol", ["batkol.>"], "admin:x")
        said = {}
        for user in ("batkol", "mute", "deaf"):
            async with sink_to(server.url, secret=f"{user}:x") as sink:
                (said[user],) = await deliver(sink, [final(user)])
        assert said["batkol"] == Delivered()
        for user, word in (("mute", "publish"), ("deaf", "subscribe")):
            outcome = said[user]
            assert isinstance(outcome, Later)
            assert f"does not permit this user to {word}" in outcome.reason


async def test_tls_of_a_real_server(tmp_path: Path) -> None:
    import ssl

    server_side(tmp_path)
    tls = f'tls {{ cert_file: "{tmp_path / CERTIFICATE}", key_file: "{tmp_path / "key.pem"}" }}'

    def trusting() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))

    async with NatsServer(tmp_path, tls) as server:
        url = server.url.replace("nats://", "tls://")
        async with sink_to(url, tls=trusting, creates_stream=True) as sink:
            assert await deliver(sink, [final()]) == [Delivered()]
        async with sink_to(url) as sink:
            (outcome,) = await deliver(sink, [final()])
            assert isinstance(outcome, Later)
            assert "failed the TLS handshake" in outcome.reason


async def test_partials_reach_a_subscriber_and_no_stream_and_go_on_after_a_restart(server: NatsServer) -> None:
    bus = Bus()

    def publish(number: int) -> None:
        bus.publish(PartialText(
            call_sid="CA1", stream_sid="MZ1", seq=number, at=1.5, utterance_id="u", index=0, text="שלום", stability=1.0,
            number=number,
        ), "reception")  # fmt: skip

    got: list[int] = []
    watcher = await nats.connect(server.url, reconnect_time_wait=0)

    async def keep(message: Any) -> None:
        got.append(json.loads(message.data)["data"]["number"])

    await watcher.subscribe("batkol-live.*.partial", cb=keep)
    await watcher.flush()
    async with sink_to(server.url) as sink:
        partials = sink.partials(bus, ALL_RIGHTS, capacity=256)
        task = asyncio.create_task(partials.run())
        await until(lambda: bus.subscribers)
        for number in range(1, 201):
            publish(number)
        await until(lambda: len(got) == 200)
        assert got == list(range(1, 201))
        await server.kill()
        for number in range(201, 301):
            publish(number)
            await asyncio.sleep(0)
        await until(lambda: partials.published + partials.dropped == 300)
        await server.start()
        await until(lambda: watcher.is_connected)
        number = 300

        def again() -> bool:
            nonlocal number
            number += 1
            publish(number)
            return got[-1] > 300

        await until(again)
        assert partials.dropped > 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await watcher.close()
    assert await ids(server) == []


async def test_the_example_consumer_prints_each_event_once_and_goes_on_where_it_stopped(
    server: NatsServer, tmp_path: Path
) -> None:
    environment = {**os.environ, "NATS_URL": server.url}
    printed = tmp_path / "consumer.log"

    async def all_acknowledged() -> bool:
        async with Looker(server.url) as stream:
            return not (await stream.consumer_info("batkol", "example")).num_ack_pending

    async def consume(lines: int) -> None:
        with printed.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(CONSUMER), stdout=out, stderr=out, env=environment
            )
        try:
            await until(lambda: printed.read_text().count("\ndev.batkol") == lines)
            await eventually(all_acknowledged)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async with sink_to(server.url) as sink:
        assert await deliver_all(sink, [final(seq=1), final(seq=2)]) == 1
        await consume(2)
        assert await deliver_all(sink, [final(seq=2), final(seq=3)]) == 1
        await consume(3)
    events = [line for line in printed.read_text().splitlines() if line.startswith("dev.batkol")]
    assert [line.split()[:3] for line in events] == [["dev.batkol.final", "MZ1", str(seq)] for seq in (1, 2, 3)]
