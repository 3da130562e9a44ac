"""Latency of a sink over the whole way: from an event of a real call, through Postgres, to its receiver.

    PYTHONPATH=tests python bench/sinks_latency.py [--calls 10] [--rounds 2] [--pods 1] [--receiver well]

Pods, callers, Google's double and the receiver are in this process, on one event loop: the figures are a busy pod's.
The latency is from the event's time to the moment at which the receiver has read its request whole. With another
receiver (`busy` answers 503, `hanging` nothing, `away` is not there, `none`: there is no sink) there are the figures of
the calls alone, which are to be the same.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from batkol.events.events import CallEnded, Event, FinalText
from batkol.events.outgoing import OUTGOING
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import script
from measured import Histogram
from support.postgres.server import database, prepared_data, running_server
from support.service.stack import Stack, stack
from support.time.waiting import until

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
RECEIVERS = ("well", "busy", "hanging", "away", "none")
_ANSWERS = {
    "well": b"HTTP/1.1 204 No Content\r\n\r\n",
    "busy": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
}
SPEECH = script([["שלום", "תודה"], ["בבקשה", "אני", "רוצה"], ["פגישה"]], tail_ms=1000)


class Arrivals:
    """A receiver that writes down how old each event is when it comes, in ms. It answers all requests alike."""

    def __init__(self, receiver: str) -> None:
        self.ages: dict[str, float] = {}
        self.again = 0
        self._answer = _ANSWERS.get(receiver, b"")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
                now, event = time.time(), json.loads(body)
                self.again += event["id"] in self.ages
                self.ages.setdefault(event["id"], (now - datetime.fromisoformat(event["time"]).timestamp()) * 1000)
                writer.write(self._answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def pods(folder: Path, count: int, url: str, dsn: str) -> AsyncIterator[list[Stack]]:
    sinks = json.dumps({"crm": {"kind": "webhook", "url": url, "secretEnv": "CRM_SECRET"}} if url else {})
    async with AsyncExitStack() as running:
        made = []
        for number in range(count):
            own = folder / f"pod-{number}"
            (own / "memory").mkdir(parents=True)
            kept: dict[str, Any] = {
                "journal_dir": own / "journal",
                "journal_memory_dir": own / "memory",
                "database_url": dsn,
            }
            up = stack(own / "live", store="postgres", sinks=sinks, pod_name=own.name, vad="webrtc", **kept)
            made.append(await running.enter_async_context(up))
        yield made


async def call(up: Stack) -> list[Event]:
    async def talk(caller: Caller) -> None:
        await caller.say(SPEECH.mulaw)
        await up.heard.has_finals(caller.plan.call_sid, 3)

    sid = (await up.call(script=talk, caller="+972541234567", called="+97231234567")).call_sid
    return [event for event in up.heard.events[sid] if str(event.__struct_config__.tag) in OUTGOING]


def row(name: str, ages: Sequence[float]) -> str:
    ordered = sorted(ages)
    p50, p95, p99 = (ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99))
    return f"{name:12} {len(ordered):6} {p50:8.0f} {p95:8.0f} {p99:8.0f} {ordered[-1]:8.0f}"


def of_calls(events: Sequence[Event], made: Sequence[Stack]) -> str:
    """Return the figures of the calls: what a dead receiver must not change."""
    finals = [each.latency_ms for each in events if isinstance(each, FinalText)]
    dropped = sum(each.audio_dropped_ms for each in events if isinstance(each, CallEnded))
    written = [Histogram.read(up.service.metrics.render().decode()) for up in made]
    p99 = max(each.quantile_ms(0.99) for each in written if each is not None)
    return (
        f"{row('final', finals)}  after speech\naudio: written within {p99:g} ms at p99, {dropped} ms dropped; "
        f"{len(finals)} finals"
    )


async def measure(calls: int, rounds: int, count: int, receiver: str) -> None:
    os.environ["CRM_SECRET"] = SECRET
    arrivals = Arrivals(receiver)
    server = await asyncio.start_server(arrivals.serve, "127.0.0.1", 0)
    url = "" if receiver == "none" else f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    if receiver == "away":
        server.close()
    with tempfile.TemporaryDirectory() as folder:
        prepared = await asyncio.to_thread(prepared_data, Path(folder))
        with running_server(prepared) as postgres:
            async with database(postgres) as where, pods(Path(folder), count, url, where.dsn) as made:
                events: list[Event] = []
                for _ in range(rounds):
                    for of_call in await asyncio.gather(*(call(made[n % count]) for n in range(calls))):
                        events += of_call
                if receiver == "well":
                    await until(lambda: {event.id for event in events} <= arrivals.ages.keys())
                print("             events  p50, ms  p95, ms  p99, ms  max, ms")
                print(of_calls(events, made))
    if receiver != "well":
        return
    for kind in ("final", "call.ended"):
        ages = [arrivals.ages[each.id] for each in events if each.__struct_config__.tag == kind]
        print(f"{row(kind, ages)}  at the receiver")
    print(f"{row('all', list(arrivals.ages.values()))}  at the receiver")
    print(f"{arrivals.again} events came again")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pods", type=int, default=1)
    parser.add_argument("--receiver", choices=RECEIVERS, default="well")
    given = parser.parse_args()
    asyncio.run(measure(given.calls, given.rounds, given.pods, given.receiver))
