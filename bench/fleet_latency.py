"""Latency of the fleet's feed: an event on one pod until a reader of another pod has it, beside the pod's own feed.

    PYTHONPATH=tests python bench/fleet_latency.py [--pods 2] [--events 500] [--every-ms 20]

Pods are processes of `batkol serve`; keys pressed by simulated callers make the events. Both readers are in this
process, so both figures have the way from the caller's key in them: the difference is the price of the fleet.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from support.fleet.processes import HEADERS, on_the_line, processes
from support.http.event_source import EventSource
from support.time.waiting import until


class Reader:
    """Writes down when each key came."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.begun = asyncio.Event()

    @asynccontextmanager
    async def reading(self, url: str) -> AsyncIterator[None]:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60, verify=False) as http,
            http.stream("GET", url, headers=HEADERS) as response,
        ):
            task = asyncio.create_task(self._read(response))
            await self.begun.wait()
            yield
            task.cancel()

    async def _read(self, response: httpx.Response) -> None:
        source, count = EventSource(), 0
        async for piece in response.aiter_raw():
            self.begun.set()
            now = time.perf_counter()
            for event in source.feed(piece):
                if event.type == "dtmf":
                    count += 1
                    self.at[count] = now


def table(name: str, values: list[float]) -> dict[str, Any]:
    ordered = sorted(value * 1000 for value in values)
    at = {f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 2) for share in (50, 95, 99)}
    return {"what": name, "events": len(ordered), **at, "max_ms": round(ordered[-1], 2)}


async def measure(pods_count: int, events: int, every_s: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with processes(Path(folder), pods_count, VAD="webrtc") as pods, on_the_line(pods, 1) as (line,):
            await until(lambda: line.sid)
            own, fleet, pressed = Reader(), Reader(), list[float]()
            async with (
                own.reading(f"{pods.up[1].internal}/v1/events"),
                fleet.reading(f"{pods.up[0].internal}/v1/events?scope=fleet"),
            ):
                for number in range(events):
                    pressed.append(time.perf_counter())
                    line.press(str(number % 10))
                    await asyncio.sleep(every_s)
                await until(lambda: len(own.at) == len(fleet.at) == events)
    for name, reader in (("the pod's own feed", own), ("the fleet's feed at another pod", fleet)):
        print(json.dumps(table(name, [reader.at[number + 1] - at for number, at in enumerate(pressed)])))
    print(json.dumps(table("the fleet's after the pod's own", [max(0.0, fleet.at[n] - own.at[n]) for n in own.at])))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=2)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--every-ms", type=float, default=20.0)
    given = parser.parse_args()
    asyncio.run(measure(given.pods, given.events, given.every_ms / 1000))
