"""Cost and latency of the sinks: from an event that is handed to a sink to its receiver, and CPU per event.

  bench/sinks_cost.py                         webhooks, to a receiver in a process of its own
  bench/sinks_cost.py --nats nats://127.0.0.1:4222    JetStream of that server as well

`paced` are single events at 50 a second, as a healthy drainer hands them on: the latency is from `deliver` to the
moment at which the receiver has read the request whole (for NATS to the acknowledgement). `bulk` are batches of 100
events of 50 streams, as after an outage. CPU is that of the sending process alone.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
import uvloop

from batkol.events.events import FinalText, encode
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Sink
from batkol.sinks.lanes import Lane, LaneKind, Lanes, lanes_of
from batkol.sinks.nats.sink import NatsSink
from batkol.sinks.stored import OutboxPosition, StoredEvent
from batkol.sinks.webhook.sink import WebhookSink

SECRET: Final = f"whsec_{base64.b64encode(bytes(32)).decode()}"
TEXT: Final = "אני רוצה לקבוע תור לרופא ביום ראשון בבוקר"
PACED: Final = 300
PAUSE_S: Final = 0.02
BATCHES: Final = 20
STREAMS: Final = 50
ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


def event(stream: int, seq: int) -> Envelope:
    at = datetime.now(UTC)
    said = FinalText(
        call_sid=f"CA{stream:032x}", stream_sid=f"MZ{stream:032x}", seq=seq, at=at.timestamp(), index=seq,
        utterance_id=f"CA{stream:032x}-{seq}", text=TEXT, source="final", mode="streaming", begin_ms=1, end_ms=2,
        words=8, partials=10, first_partial_ms=310.5, latency_ms=702.1, confirms=1,
    )  # fmt: skip
    return Envelope(said.id, "final", at, said.call_sid, said.stream_sid, seq, "reception", encode(said))


async def receive() -> None:
    """Answer every request, and print when each was read whole, when standard input ends."""
    arrived: dict[str, int] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
                arrived[head.partition("webhook-id: ")[2].partition("\r\n")[0].upper()] = time.monotonic_ns()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(arrived), flush=True)


async def deliver(sink: Sink, events: Sequence[Envelope]) -> None:
    """Deliver a batch as a drainer does: its streams side by side, each in its own order."""
    over = asyncio.Event()

    async def one(_: Lane, event: StoredEvent) -> DeliveryOutcome:
        return await sink.deliver(events[event.at.position])

    lanes = Lanes(one, sink.at_once, young_s=60.0, clock=time.monotonic, on_change=over.set)
    lanes.begin(
        lanes_of(
            LaneKind.NEW,
            [
                StoredEvent(
                    OutboxPosition(3, place), each.call_sid, each.stream, each.seq, each.agent, each.type, each.time, ""
                )
                for place, each in enumerate(events)
            ],
        )
    )
    while lanes.open:
        over.clear()
        await over.wait()
    outcomes = [outcome for lane in lanes.collect() for _, outcome in lane.take()]
    assert outcomes == [Delivered()] * len(events)


async def paced(sink: Sink) -> tuple[dict[str, int], list[float], float]:
    """Return when each event was handed over, for how long `deliver` took in ms, and CPU per event in ms."""
    began: dict[str, int] = {}
    took = []
    cpu_s = 0.0
    for number in range(PACED):
        one = event(number % STREAMS, number // STREAMS + 1)
        before_s, began[one.id.upper()] = time.process_time(), time.monotonic_ns()
        await deliver(sink, [one])
        took.append((time.monotonic_ns() - began[one.id.upper()]) / 1e6)
        cpu_s += time.process_time() - before_s
        await asyncio.sleep(PAUSE_S)
    return began, took, cpu_s / PACED * 1e3


async def bulk(sink: Sink) -> tuple[float, float]:
    """Return events a second, and CPU per event in ms."""
    batches = [
        [event(stream, 1000 + 2 * batch + turn) for turn in (0, 1) for stream in range(STREAMS)]
        for batch in range(BATCHES)
    ]
    began_s, cpu_s = time.monotonic(), time.process_time()
    for batch in batches:
        await deliver(sink, batch)
    count = BATCHES * 2 * STREAMS
    return count / (time.monotonic() - began_s), (time.process_time() - cpu_s) / count * 1e3


class Cost(NamedTuple):
    """As `paced` and `bulk` return them."""

    began: dict[str, int]
    took: list[float]
    paced_cpu: float
    rate: float
    bulk_cpu: float


async def measured(sink: Sink) -> Cost:
    """Warm the sink up, measure it, and close it."""
    try:
        await bulk(sink)
        return Cost(*await paced(sink), *await bulk(sink))
    finally:
        await sink.aclose()


def row(name: str, cost: Cost, latencies: Sequence[float]) -> str:
    p50, p95 = statistics.median(latencies), statistics.quantiles(latencies, n=20)[18]
    return f"{name:10} {p50:9.2f} {p95:9.2f} {cost.paced_cpu:9.3f} {cost.rate:11.0f} {cost.bulk_cpu:9.3f}"


async def webhooks() -> str:
    pipe = asyncio.subprocess.PIPE
    receiver = await asyncio.create_subprocess_exec(sys.executable, __file__, "--receive", stdin=pipe, stdout=pipe)
    assert receiver.stdout is not None
    port = int(await receiver.stdout.readline())
    sink = WebhookSink("bench", f"http://127.0.0.1:{port}/", [SECRET])
    try:
        cost = await measured(sink)
    finally:
        said, _ = await receiver.communicate(b"")
    arrived = msgspec.json.decode(said, type=dict[str, int])
    return row("webhook", cost, [(arrived[one] - at) / 1e6 for one, at in cost.began.items()])


async def nats(url: str) -> str:
    sink = NatsSink("bench", [url], "batkol-bench", creates_stream=True)
    cost = await measured(sink)
    return row("nats", cost, cost.took)


async def measure(url: str) -> None:
    print("            p50, ms   p95, ms   CPU, ms   events/s   CPU, ms   (paced, paced, paced, bulk, bulk)")
    print(await webhooks())
    if url:
        print(await nats(url))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nats", default="", metavar="URL", help="of a server with JetStream")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    uvloop.run(receive() if arguments.receive else measure(arguments.nats))


if __name__ == "__main__":
    main()
