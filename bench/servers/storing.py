"""`batkol serve` with a real Postgres, and 500 finals a second said to its store beside those of its calls.

What the calls wait for must not differ from a service that stores nothing: `bench/run.py` has both. Postgres runs on
the same core as the service, as no production does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from batkol.app.build import running
from batkol.settings import read
from batkol.store.dev_postgres.server import passing
from batkol.store.postgres import migrate
from batkol.store.store import Store
from batkol.supervision.garbage import freeze_startup_objects
from batkol.telemetry.logs import Logs

sys.path.insert(0, str(Path(__file__).parents[1]))
from store import CALLS, final, identity

FINALS_PER_S: Final = 500
_EVERY_S: Final = 0.01


async def say(store: Store) -> None:
    """Say finals for as long as it lasts, as many calls would: a few at a time."""
    run = f"{int(time.time()):08x}"
    calls = [identity(call, run) for call in range(CALLS)]
    loop, said = asyncio.get_running_loop(), 0
    begun = loop.time()
    while True:
        due = int((loop.time() - begun) * FINALS_PER_S)
        for number in range(said, due):
            of = calls[number % CALLS]
            store.recorder.keep(of, final(of, number // CALLS), "ab" * 16)
        said = due
        await asyncio.sleep(_EVERY_S)


async def serve() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with passing() as postgres:
        os.environ["DATABASE_URL"] = postgres.url
        await migrate.upgrade(postgres.address)
        async with running(read()) as service:
            if not isinstance(service.store, Store):
                raise SystemExit("this server is to store what it hears; set STORE=postgres")
            freeze_startup_objects()
            saying = asyncio.create_task(say(service.store))
            await told.wait()
            saying.cancel()
            await service.drain_calls()
            print(f"store: {service.store.status()}", file=sys.stderr)


def main() -> None:
    logs = Logs(level="INFO", json=True)
    try:
        with tempfile.TemporaryDirectory(prefix="batkol-journal-") as journal:
            os.environ["JOURNAL_DIR"] = journal
            uvloop.run(serve())
    finally:
        logs.close()


if __name__ == "__main__":
    main()
