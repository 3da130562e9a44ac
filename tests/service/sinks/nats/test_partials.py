"""Partials on plain subjects, straight from the bus: while a server is there, at most once, and none waited for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from batkol.backoff import Backoff
from batkol.events.bus import LIMIT, Bus
from batkol.events.events import CallEnded, CallStarted, FinalText, PartialText, ReplyStarted
from batkol.events.identity import REHEARSAL
from batkol.rights import ALL_RIGHTS, Right
from batkol.sinks.delivery import Delivered
from batkol.sinks.nats.connection import NatsLimits
from batkol.sinks.nats.partials import NatsPartials
from batkol.sinks.nats.sink import NatsSink
from support.nats.double import NatsDouble
from support.sinks.batch import deliver
from support.sinks.envelopes import final
from support.time.waiting import until

LIMITS = NatsLimits(connect_s=20.0, ack_s=20.0, unsent=100_000, backoff=Backoff(0.0, 0.0))


OVER: dict[str, Any] = {
    "reason": "stop", "duration_s": 1.0, "utterances": 0, "words": 0, "finals": {}, "fallbacks": 0, "sessions": 1,
    "gap_ms": 0, "close_code": 1000,
}  # fmt: skip


def partial(number: int, text: str = "שלום") -> PartialText:
    return PartialText(
        call_sid="CA1", stream_sid="MZ1", seq=number, at=1_764_000_000.5, utterance_id="CA1-0", index=0, text=text,
        stability=0.9, number=number,
    )  # fmt: skip


def reply_started(seq: int) -> ReplyStarted:
    return ReplyStarted(
        call_sid="CA1",
        stream_sid="MZ1",
        seq=seq,
        at=1_764_000_000.5,
        reply_id="r1",
        turn=3,
        phrase=None,
        latency_ms=780.0,
    )


@asynccontextmanager
async def publishing(
    may: AbstractSet[Right] = ALL_RIGHTS, bus: Bus | None = None, **options: Any
) -> AsyncIterator[tuple[Bus, NatsDouble, NatsPartials, NatsSink]]:
    """A bus whose partials are published to a server."""
    bus = bus or Bus()
    async with NatsDouble() as server:
        sink = NatsSink("bus", [server.url], limits=LIMITS)
        partials = sink.partials(bus, may, **{"capacity": 8, **options})
        task = asyncio.create_task(partials.run())
        try:
            async with asyncio.timeout(40):
                await until(lambda: bus.subscribers)
                yield bus, server, partials, sink
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await sink.aclose()


def numbers(server: NatsDouble) -> list[int]:
    return [json.loads(message.data)["data"]["number"] for message in server.published]


def numbers_of_partials(server: NatsDouble) -> list[int]:
    contents = [json.loads(message.data) for message in server.published]
    return [content["data"]["number"] for content in contents if content["type"] == "dev.batkol.partial"]


async def test_partials_go_out_in_order_under_a_subject_that_no_stream_of_finals_stores() -> None:
    async with publishing() as (bus, server, partials, sink):
        server.jetstream.add("batkol", "batkol.>")
        for number in (1, 2, 3):
            bus.publish(partial(number), "reception")
        bus.publish(FinalText(
            call_sid="CA1", stream_sid="MZ1", seq=4, at=1.0, utterance_id="u", index=0, text="x", source="final",
            mode="streaming", begin_ms=0, end_ms=1, words=1, partials=3, first_partial_ms=1.0, latency_ms=1.0,
        ), "reception")  # fmt: skip
        await until(lambda: len(server.published) == 3)
        assert numbers(server) == [1, 2, 3]
        assert {message.subject for message in server.published} == {"batkol-live.reception.partial"}
        content = json.loads(server.published[0].data)
        assert (content["id"], content["type"], content["time"]) == (
            "MZ1-1", "dev.batkol.partial", "2025-11-24T16:00:00.500Z",
        )  # fmt: skip
        assert await deliver(sink, [final()]) == [Delivered()]
        assert len(server.connected) == 1
        assert len(server.jetstream.streams["batkol"].messages) == 1
        await until(lambda: (partials.published, partials.dropped) == (3, 0))


async def test_without_the_right_to_texts_their_words_are_empty() -> None:
    async with publishing(may=frozenset({Right.STATUS})) as (bus, server, _, _):
        bus.publish(partial(1, "סוד"))
        await until(lambda: server.published)
        assert json.loads(server.published[0].data)["data"]["text"] == ""


async def test_those_of_a_rehearsal_go_nowhere() -> None:
    about: dict[str, Any] = {"call_sid": "CA1", "stream_sid": "MZ1", "at": 1_764_000_000.5}
    began = {"agent": "reception", "streaming": True, **about}
    async with publishing() as (bus, server, partials, _):
        bus.publish(CallStarted(seq=1, direction=REHEARSAL, **began), "reception")
        bus.publish(partial(2), "reception")
        bus.publish(CallEnded(seq=3, **about, **OVER), "reception")
        bus.publish(CallStarted(seq=4, direction="inbound", **began), "reception")
        bus.publish(partial(5), "reception")
        await until(lambda: server.published)

        assert numbers(server) == [5]
        assert partials.dropped == 0


async def test_a_rehearsal_that_began_before_the_sink_followed_the_bus_goes_nowhere_either() -> None:
    """As when its task died and was started again."""
    about: dict[str, Any] = {"call_sid": "CA1", "stream_sid": "MZ1", "at": 1_764_000_000.5}
    bus = Bus()
    bus.publish(CallStarted(seq=1, direction=REHEARSAL, agent="reception", streaming=True, **about), "reception")
    async with publishing(bus=bus) as (_, server, _, _):
        bus.publish(partial(2), "reception")
        bus.publish(reply_started(3), "reception")
        bus.publish(msgspec.structs.replace(partial(4), stream_sid="MZ2", id=""), "reception")
        await until(lambda: server.published)

        assert numbers(server) == [4]


async def test_the_first_sound_of_a_reply_goes_out_too() -> None:
    async with publishing() as (bus, server, partials, _):
        server.jetstream.add("batkol", "batkol.>")
        bus.publish(reply_started(7), "reception")
        await until(lambda: server.published)
        (message,) = server.published
        assert message.subject == "batkol-live.reception.reply.started"
        content = json.loads(message.data)
        assert (content["id"], content["type"]) == ("MZ1-7", "dev.batkol.reply.started")
        assert (content["data"]["reply_id"], content["data"]["turn"]) == ("r1", 3)
        assert server.jetstream.streams["batkol"].messages == []
        await until(lambda: partials.published == 1)


async def test_what_was_too_much_to_wait_for_ends_no_later_partials() -> None:
    """The bus lets go of a subscriber that does not read; the sink begins anew."""
    async with publishing() as (bus, server, partials, _):
        for seq in range(LIMIT + 1):
            bus.publish(reply_started(seq), "reception")
        assert bus.let_go == 1
        await until(lambda: bus.subscribers)
        bus.publish(partial(9000), "reception")
        await until(lambda: server.published and numbers_of_partials(server) == [9000])
        assert partials.dropped >= LIMIT


async def test_while_no_server_is_there_partials_are_dropped_and_counted_and_the_newer_ones_go_out_again() -> None:
    async with publishing() as (bus, server, partials, _):
        bus.publish(partial(1))
        await until(lambda: server.published)
        await server.kill()
        for number in range(2, 40):
            bus.publish(partial(number))
            await asyncio.sleep(0)
        await until(lambda: partials.published + partials.dropped == 39)
        await server.start()
        bus.publish(partial(40))
        await until(lambda: numbers(server)[-1:] == [40])
        await until(lambda: partials.published + partials.dropped == 40)
        assert partials.dropped >= 37  # what the client took as the connection broke may count as published
        assert set(numbers(server)) & set(range(2, 40)) == set()


async def test_a_server_that_does_not_read_costs_partials_and_never_the_publisher() -> None:
    async with publishing() as (bus, server, partials, _):
        bus.publish(partial(1))
        await until(lambda: server.published)
        server.reads = False
        large = "x" * 200_000  # the sockets take some of them

        def flooded() -> bool:
            bus.publish(partial(2, large))
            return partials.dropped > 8

        await until(flooded)
        server.reads = True
        assert bus.subscribers == 1


async def test_it_ends_with_the_bus() -> None:
    bus = Bus()
    sink = NatsSink("bus", ["nats://127.0.0.1:1"], limits=LIMITS)
    task = asyncio.create_task(sink.partials(bus, ALL_RIGHTS, capacity=8).run())
    await until(lambda: bus.subscribers)
    bus.close()
    async with asyncio.timeout(20):
        await task
    assert bus.subscribers == 0
