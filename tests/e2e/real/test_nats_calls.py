"""Events of real calls on a real nats-server, out of a real Postgres: also while the server is killed and away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import nats
from nats.js.errors import NotFoundError

from batkol.events.events import PartialText, encode
from batkol.store.postgres.address import Address
from batkol.voices.marked.voice import script
from support.nats.server import NatsServer
from support.postgres.server import database, running_server
from support.service.stack import QUICK, Stack, stack, stored
from support.sinks.calls import call_with_two_finals, handed_on
from support.time.waiting import eventually

SPEECH: Final = script([["שלום", "תודה"], ["בבקשה", "אני", "רוצה"]], tail_ms=800)


@asynccontextmanager
async def a_pod(folder: Path, where: Address, url: str) -> AsyncIterator[Stack]:
    """Run a pod with a sink for that server, which creates its stream and gets partials, too."""
    sinks = {"bus": {"kind": "nats", "url": url, "createStream": True, "partials": True}}
    async with stack(
        folder / "live",
        speed=QUICK,
        **stored(folder, where),
        vad="webrtc",
        sinks=json.dumps(sinks),
    ) as up:
        yield up


async def call(up: Stack) -> str:
    """Make a call of two utterances; return its SID."""
    return await call_with_two_finals(up, SPEECH.mulaw)


async def test_events_of_calls_are_stored_once_in_order_and_partials_go_out_beside_them(
    tmp_path: Path, postgres_data: Path
) -> None:
    live: list[dict[str, Any]] = []

    async def keep(message: Any) -> None:
        live.append(json.loads(message.data))

    with running_server(postgres_data) as postgres:
        async with database(postgres) as where, NatsServer(tmp_path) as server:
            watcher = await nats.connect(server.url, reconnect_time_wait=0)
            await watcher.subscribe("batkol-live.>", cb=keep)
            await watcher.flush()
            async with a_pod(tmp_path, where, server.url) as up:
                sids = [await call(up)]

                async def has_all() -> bool:
                    with suppress(NotFoundError):  # the stream comes with the first event
                        return {each.id for each in handed_on(up, *sids)} <= {each.id for each in await server.stored()}
                    return False

                async def sink_failed() -> bool:
                    return bool(up.service.status().sinks["bus"].fault)

                await eventually(has_all)
                partials = [each for each in up.heard.events[sids[0]] if type(each) is PartialText]
                await server.kill()
                sids += [await call(up), await call(up)]
                await eventually(sink_failed)
                away = up.service.status().sinks["bus"]
                await server.start()
                sids.append(await call(up))
                await eventually(has_all)
                wanted, found = handed_on(up, *sids), await server.stored()
            await watcher.close()

    assert {each.id: json.loads(encode(each)) for each in wanted} == {
        each.id: json.loads(each.data)["data"] for each in found
    }
    assert len(found) == len(wanted)
    by_stream: dict[str, list[int]] = {}
    for each in found:
        event = json.loads(each.data)
        by_stream.setdefault(event["stream"], []).append(event["seq"])
    assert len(by_stream) == 4
    assert all(numbers == sorted(numbers) for numbers in by_stream.values())
    first = [each["data"] for each in live if each["subject"] == sids[0]]
    assert first == [json.loads(encode(each)) for each in partials]
    assert first
    assert away.partials_dropped > 0
    assert "NATS server" in (away.fault or "")
