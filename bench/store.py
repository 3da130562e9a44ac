"""Benchmark of the store: finals a second into Postgres, and the replay of a journal. Run by hand.

  bench/store.py                         an embedded Postgres of its own
  bench/store.py --database-url URL      another one; its tables are made, and what is written stays
  bench/store.py --finals 100000 --rate 500 --seconds 20

Sustained: finals are said at a rate, as calls say them, on an event loop whose lateness is measured with the store and
without it. Replay: finals that were journalled while the database was away are written when it is there.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvloop

from batkol.events.events import FinalText
from batkol.events.identity import Identity
from batkol.store.dev_postgres.server import passing
from batkol.store.options import DatabaseTimeouts, StoreSettings
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address, address
from batkol.store.store import Store, running_store

CALLS = 100
TEXT = "אני רוצה לקבוע פגישה ביום שלישי בבוקר אם אפשר"
NOWHERE = address("postgresql://nobody@127.0.0.1:9/none")


def identity(call: int, run: str) -> Identity:
    return Identity(
        call_sid=f"CA{run}{call:024x}", stream_sid=f"MZ{run}{call:024x}", account_sid="AC" + "0" * 32, agent="bench",
        from_=f"+97254{call:07}", to="+97231234567",
    )  # fmt: skip


def final(of: Identity, index: int) -> FinalText:
    return FinalText(
        call_sid=of.call_sid, seq=index + 2, at=time.time(), utterance_id=f"{of.call_sid}-{index}", index=index,
        text=TEXT, source="final", mode="streaming", begin_ms=3000 * index, end_ms=3000 * index + 2000, words=9,
        partials=9, first_partial_ms=300.0, latency_ms=400.0,
    )  # fmt: skip


def settings(where: Address, folder: Path) -> StoreSettings:
    return StoreSettings(
        address=where, database_dir=folder, pool_size=2, patience=DatabaseTimeouts(), journal_dir=folder / "journal",
        journal_max_bytes=1 << 30, retention_days=0, pod="bench",
    )  # fmt: skip


async def lateness(seconds: float, is_over: asyncio.Event | None = None) -> list[float]:
    """Measure how late the loop runs a timer of 5 ms, in ms; for `seconds`, or until `is_over`."""
    late, loop = [], asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end and not (is_over and is_over.is_set()):
        due = loop.time() + 0.005
        await asyncio.sleep(0.005)
        late.append((loop.time() - due) * 1000)
    return sorted(late)


def shown(late: list[float]) -> str:
    return f"p50 {statistics.median(late):.2f}, p99 {late[int(0.99 * len(late))]:.2f}, max {late[-1]:.1f} ms"


async def sustained(store: Store, rate: int, seconds: float) -> None:
    """Say finals at a rate, and wait for the last of them."""
    run = f"{int(time.time()):08x}"
    calls = [identity(call, run) for call in range(CALLS)]
    print(f"loop without finals: late {shown(await lateness(min(seconds, 10)))}")
    measuring = asyncio.create_task(lateness(seconds))
    loop, took, said = asyncio.get_running_loop(), [], 0
    begun = loop.time()
    while said < rate * seconds:
        due = int((loop.time() - begun) * rate) + 1
        for number in range(said, min(due, int(rate * seconds))):
            of = calls[number % CALLS]
            event = final(of, number // CALLS)
            before = time.perf_counter()
            store.recorder.keep(of, event, "ab" * 16)
            took.append((time.perf_counter() - before) * 1e6)
        said = max(said, min(due, int(rate * seconds)))
        await asyncio.sleep(0.002)
    late = await measuring
    spoken = loop.time() - begun
    behind = store.journal.waiting
    await store.writer.flush(600)
    took.sort()
    print(f"loop with {said / spoken:.0f} finals/s: late {shown(late)}")
    print(
        f"kept before it is published: p50 {statistics.median(took):.0f}, p99 {took[int(0.99 * len(took))]:.0f}, "
        f"max {took[-1]:.0f} µs; slowest flush of the disk {store.journal.sync_ms:.1f} ms"
    )
    print(
        f"{said} finals in {spoken:.1f} s, {behind} of them not yet in Postgres then; all in after "
        f"{loop.time() - begun:.1f} s, {store.writer.retries} retries, {store.journal.refused} refused"
    )


async def replayed(where: Address, folder: Path, finals: int) -> None:
    """Journal the finals while the database is away, then let it be there."""
    run = f"{int(time.time()) + 1:08x}"
    calls = [identity(call, run) for call in range(CALLS)]
    away = replace(settings(NOWHERE, folder), journal_dir=folder / "replay")
    loop = asyncio.get_running_loop()
    async with waiting_for_nothing(away) as store:
        begun = loop.time()
        for number in range(finals):
            store.recorder.keep(calls[number % CALLS], final(calls[number % CALLS], number // CALLS), "ab" * 16)
            if number % 200 == 199:
                await asyncio.sleep(0.001)
        print(f"{finals} finals journalled in {loop.time() - begun:.1f} s, {store.journal.size / 1e6:.1f} MB")
    begun = loop.time()
    async with running_store(replace(away, address=where)) as store:
        opened = loop.time() - begun
        is_over = asyncio.Event()
        measuring = asyncio.create_task(lateness(3600, is_over))
        await store.writer.flush(600)
        took = loop.time() - begun
        is_over.set()
        late = await measuring
        counts = await store.counts()
    print(f"loop during the replay: late {shown(late)}")
    print(
        f"replayed in {took:.1f} s ({finals / took:.0f} finals/s), {opened:.1f} s of it to read the journal; {counts}"
    )


@asynccontextmanager
async def waiting_for_nothing(given: StoreSettings) -> AsyncIterator[Store]:
    """A store whose end does not wait for a database that is not there."""
    async with running_store(given) as store:
        yield store
        store.writer.flush = _at_once  # type: ignore[method-assign]


async def _at_once(within: float) -> bool:
    return within < 0


async def bench(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="batkol-bench-store-") as name:
        folder = Path(name)
        if given.database_url:
            await measure(address(given.database_url), folder, given)
        else:
            async with passing() as server:
                await measure(server.address, folder, given)


async def measure(where: Address, folder: Path, given: argparse.Namespace) -> None:
    await migrate.upgrade(where)
    async with running_store(settings(where, folder)) as store:
        await sustained(store, given.rate, given.seconds)
    await replayed(where, folder, given.finals)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--rate", type=int, default=500, help="finals a second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--finals", type=int, default=100_000, help="journalled, for the replay")
    uvloop.run(bench(parser.parse_args(sys.argv[1:])))
