"""Benchmark of the outbox: from an event to its delivery, and how quickly a backlog is delivered. Run by hand.

  bench/sinks.py                          an embedded Postgres of its own
  bench/sinks.py --pods 3 --rate 100 --seconds 20 --backlog 20000

Every pod is a store and the drainer of one sink, as in the service; the receiver takes everything at once. The pods are
in one process, and share its two cores with Postgres.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import uvloop

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope
from batkol.sinks.drainers import DrainerOptions, Drainers, Pod, running_drainers
from batkol.sinks.feed import SinkFeed
from batkol.store.dev_postgres.server import passing
from batkol.store.options import OutboxSettings
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.store.store import Store, running_store
from batkol.supervision.tasks import Tasks
from store import CALLS, final, identity, settings

AGENT = "bench"


class Receiver:
    """A receiver that takes everything at once; it keeps the ids."""

    name = "crm"
    at_once = 16

    def __init__(self, got: set[str]) -> None:
        self.got = got

    async def deliver(self, event: Envelope) -> DeliveryOutcome:
        """Take the event."""
        self.got.add(event.id)
        return Delivered()

    async def aclose(self) -> None:
        """Do nothing."""


def say(store: Store, run: str, events: range) -> None:
    """Keep one final of each number."""
    for number in events:
        of = identity(number % CALLS, run)
        event = final(of, number // CALLS)
        store.recorder.keep(of, msgspec.structs.replace(event, stream_sid=of.stream_sid, id=""))


async def main(pods: int, rate: int, seconds: int, backlog: int) -> None:
    """Measure, and print."""
    got: set[str] = set()
    delays: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(passing())
            await migrate.upgrade(server.address)
            stores = [await pod(stack, server.address, Path(folder) / f"pod-{n}", n) for n in range(pods)]
            options = DrainerOptions(on_delay=lambda _, delay_s: delays.append(delay_s))
            running = [await draining(stack, server.address, store, Receiver(got), options) for store in stores]
            await asyncio.sleep(3)
            await speak(stores, rate, seconds)
            await until(lambda: len(got) >= rate * seconds)
            print_delays(f"{pods} pods, {rate} events/s for {seconds} s", delays)
            for each in running:
                await each.aclose()
            waiting = say_all(stores, backlog)
            for store in stores:
                await store.writer.flush(600)
            before, begun = len(got), time.perf_counter()
            async with running_drainers([SinkFeed(Receiver(got))], server.address, Pod(AGENT, "late"), Tasks()):
                await until(lambda: len(got) >= before + waiting)
            took = time.perf_counter() - begun
            sys.stdout.write(f"a backlog of {waiting} events: {took:.1f} s, {waiting / took:.0f} events/s\n")


def say_all(stores: list[Store], backlog: int) -> int:
    """Say about so many finals at once; return how many."""
    share = backlog // len(stores)
    for number, store in enumerate(stores):
        say(store, f"{0xBBBBB0 + number:06x}", range(share))
    return share * len(stores)


async def pod(stack: AsyncExitStack, where: Address, folder: Path, number: int) -> Store:
    folder.mkdir()
    own = replace(settings(where, folder), pod=f"pod-{number}", outbox=OutboxSettings(AGENT, ("crm",)))
    return await stack.enter_async_context(running_store(own))


async def draining(
    stack: AsyncExitStack, where: Address, store: Store, receiver: Receiver, options: DrainerOptions
) -> AsyncExitStack:
    own = await stack.enter_async_context(AsyncExitStack())
    of = Pod(AGENT, f"pod-{id(store):x}")
    drainers: Drainers = await own.enter_async_context(
        running_drainers([SinkFeed(receiver)], where, of, Tasks(), options)
    )
    store.writer.on_events = drainers.wake
    return own


async def speak(stores: list[Store], rate: int, seconds: int) -> None:
    """Say so many finals a second, each at its own moment, on one pod after the other."""
    begun = time.perf_counter()
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        which = number % len(stores)
        say(stores[which], f"{0xAAAAA0 + which:06x}", range(number // len(stores), number // len(stores) + 1))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def print_delays(what: str, delays: list[float]) -> None:
    cut = statistics.quantiles([1000 * each for each in delays], n=100)
    sys.stdout.write(
        f"{what}: {len(delays)} delivered; from the event to its delivery p50 {cut[49]:.0f} ms, p95 {cut[94]:.0f} ms, "
        f"p99 {cut[98]:.0f} ms, longest {1000 * max(delays):.0f} ms\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=3)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--backlog", type=int, default=20_000)
    given = parser.parse_args()
    uvloop.run(main(given.pods, given.rate, given.seconds, given.backlog))
