"""Events of real calls at a receiver elsewhere, out of a real Postgres, whatever becomes of pods and receiver."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from batkol.events.events import CallStarted, Event, encode
from batkol.store.postgres.address import Address
from batkol.voices.marked.voice import script
from support.http.webhook_receiver import Receiver, receiving, status
from support.network.ports import free_ports
from support.postgres.server import Server, database
from support.service.stack import QUICK, Stack, plain, stack, stored, words_of
from support.sinks.calls import call_with_two_finals, handed_on
from support.time.waiting import eventually, until

SECRET: Final = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
CALLER, CALLED = "+972541234567", "+97231234567"
SPEECH = script([["שלום", "תודה"], ["בבקשה", "אני", "רוצה"]], tail_ms=800)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)


@asynccontextmanager
async def a_pod(folder: Path, where: Address, url: str, name: str = "pod-0", **others: Any) -> AsyncIterator[Stack]:
    """Run a pod of the agent with a sink for that receiver."""
    folder = folder / name
    sinks = {"crm": {"kind": "webhook", "url": url, "secretEnv": "CRM_SECRET"}}
    async with stack(
        folder / "live",
        speed=QUICK,
        **stored(folder, where),
        pod_name=name,
        vad="webrtc",
        sinks=json.dumps(sinks),
        **others,
    ) as up:
        yield up


async def call(up: Stack) -> str:
    """Make a call of two utterances; return its SID."""
    return await call_with_two_finals(up, SPEECH.mulaw, caller=CALLER, called=CALLED)


def once(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """What a receiver has that keeps one event of an id; it must not get another event under the same id."""
    kept: dict[str, dict[str, Any]] = {}
    for event in receiver.events:
        assert kept.setdefault(event["id"], event) == event
    return kept


async def has(receiver: Receiver, events: Iterable[Event]) -> None:
    """Wait until the receiver has these events."""
    wanted = {event.id for event in events}
    await until(lambda: wanted <= set(receiver.ids))


def in_order(receiver: Receiver) -> bool:
    """Whether the events of each stream came in their order; one that came again is looked at once."""
    seen: dict[str, list[int]] = {}
    for event in once(receiver).values():
        seen.setdefault(event["stream"], []).append(event["seq"])
    return all(numbers == sorted(numbers) for numbers in seen.values())


async def test_each_event_of_a_call_arrives_once_by_id_signed_and_as_the_feed_has_it(
    tmp_path: Path, server: Server
) -> None:
    async with (
        database(server) as where,
        receiving(SECRET) as receiver,
        a_pod(tmp_path, where, receiver.url, agent_replies=True) as up,
    ):
        sid = await call(up)
        events = handed_on(up, sid)
        await has(receiver, events)
        await until(lambda: up.service.status().sinks["crm"].delivered == len(events))
        sink = up.service.status().sinks["crm"]
        page = up.service.metrics.render().decode()
        kept = once(receiver)
        last = await call(up)  # the pod ends at once, and there is no other one

    assert receiver.violations == []
    assert once(receiver).keys() == {event.id for event in [*events, *handed_on(up, last)]}
    assert kept.keys() == {event.id for event in events}
    assert {event.id: json.loads(encode(event)) for event in events} == {
        id_: each["data"] for id_, each in kept.items()
    }
    types = [each["type"].removeprefix("dev.batkol.") for each in kept.values()]
    assert (types[0], types.count("final"), types[-1]) == ("call.started", 2, "call.ended")
    assert "reply.ended" in types
    assert in_order(receiver)
    assert (sink.kind, sink.target, sink.state, sink.holder) == (
        "webhook", receiver.url.removesuffix("/events"), "delivering", "pod-0",
    )  # fmt: skip
    assert re.findall(r'^batkol_sink_delivered_total{.*sink="crm"} (.*)$', page, re.MULTILINE) == [f"{len(kept)}.0"]
    assert re.findall(r'^batkol_sink_delivery_seconds_count{sink="crm"} (.*)$', page, re.MULTILINE) == [
        f"{len(kept)}.0"
    ]


async def test_of_two_pods_one_hands_on_the_calls_of_both_and_the_other_goes_on_when_it_ends(
    tmp_path: Path, server: Server
) -> None:
    async with (
        database(server) as where,
        receiving(SECRET) as receiver,
        a_pod(tmp_path, where, receiver.url, "pod-1") as second,
    ):
        async with a_pod(tmp_path, where, receiver.url, "pod-0") as first:
            sids = [await call(first), await call(second)]
            wanted = [*handed_on(first, sids[0]), *handed_on(second, sids[1])]
            await has(receiver, wanted)
            sinks = [up.service.status().sinks["crm"] for up in (first, second)]
        wanted += handed_on(second, await call(second))
        await has(receiver, wanted)
        after = second.service.status().sinks["crm"]

    assert sorted(sink.state for sink in sinks) == ["delivering", "standby"]
    assert (after.state, after.holder) == ("delivering", "pod-1")
    assert receiver.violations == []
    assert once(receiver).keys() == {event.id for event in wanted}
    assert in_order(receiver)


@pytest.mark.parametrize("is_down", [pytest.param("not there", marks=pytest.mark.nightly), "answers 503"])
async def test_a_dead_receiver_costs_a_call_nothing_and_gets_everything_in_order_when_it_is_back(
    tmp_path: Path, server: Server, is_down: str
) -> None:
    (port,) = free_ports(1)
    async with database(server) as where, a_pod(tmp_path, where, f"http://127.0.0.1:{port}/events") as up:

        async def sink_failed() -> bool:
            return bool(up.service.status().sinks["crm"].fault)

        if is_down == "not there":
            sids = [await call(up)]
            await eventually(sink_failed)
        else:
            async with receiving(SECRET, port=port) as receiver:
                receiver.otherwise = status(503, "Retry-After: 1")
                sids = [await call(up)]
                await eventually(sink_failed)
        sids.append(await call(up))
        await until(lambda: up.service.status().sinks["crm"].oldest_s)
        waiting = up.service.status().sinks["crm"]
        wanted = handed_on(up, *sids)
        async with receiving(SECRET, port=port) as receiver:
            await has(receiver, wanted)

    for sid in sids:
        assert up.heard.texts(sid) == [plain(text) for text in words_of(SPEECH)]
        assert up.ended(sid).audio_dropped_ms == 0
    assert waiting.fault
    assert waiting.oldest_s > 0
    assert receiver.violations == []
    assert once(receiver).keys() == {event.id for event in wanted}
    assert in_order(receiver)
    assert isinstance(wanted[0], CallStarted)
    assert CALLER not in waiting.fault
