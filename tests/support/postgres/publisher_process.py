"""A process with a store, a bus and the internal API, and calls that are made up: as many finals as one likes.

    python -m support.postgres.publisher_process FINALS CALLS    (settings from the environment, as the service's)

Everything from `Reporter` on is the service's own. It prints the port of the internal API, waits for a line on its
input, and then says its finals as fast as the loop lets it.
"""

from __future__ import annotations

import asyncio
import sys

import structlog
from fastapi import FastAPI

from batkol.calls.registry import CallRegistry
from batkol.calls.reporter import Reporter
from batkol.events.bus import Bus
from batkol.events.identity import Identity
from batkol.settings import read
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.status import ServiceStatus
from batkol.store.store import running_store
from batkol.telemetry.metrics import Metrics
from batkol.transcription.events import FinalReady
from batkol.web import event_feed, internal
from batkol.web.access import Access
from batkol.web.server import listening


def reporters(count: int, bus: Bus, metrics: Metrics, recorder: object) -> list[Reporter]:
    return [
        Reporter(
            Identity(
                call_sid=f"CA{call:032x}",
                stream_sid=f"MZ{call:032x}",
                account_sid="AC" + "0" * 32,
                agent="reception",
                from_=f"+97254{call:07}",
                to="+97231234567",
            ),
            bus=bus,
            metrics=metrics,
            log=structlog.get_logger(),
            since=lambda _: 0.25,
            log_transcripts=False,
            recorder=recorder,  # type: ignore[arg-type]
        )
        for call in range(count)
    ]


def utterance(index: int) -> Utterance:
    return Utterance(
        index=index, begin=8000 * index, speech_at=8000 * index, mode=Mode.STREAMING, end=8000 * index + 4000,
        state=UtteranceState.DONE, source=Source.FINAL,
    )  # fmt: skip


async def main(finals: int, calls: int) -> None:
    settings, metrics, bus = read(), Metrics(), Bus()
    status = ServiceStatus(version="1", draining=False, active_calls=calls, max_calls=calls)
    app, registry = FastAPI(), CallRegistry(limit=1)
    async with running_store(settings.of_store("pod-1")) as store:
        app.include_router(
            internal.routes(calls=registry, status=lambda: status, drain=asyncio.Event().wait, access=Access())
        )
        app.include_router(event_feed.routes(calls=registry, bus=bus, access=Access()))
        async with listening(app, "127.0.0.1", 0) as port:
            sys.stdout.write(f"{port}\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.readline)
            speaking = reporters(calls, bus, metrics, store.recorder)
            for each in speaking:
                each.call_started(streaming=True)
            for index in range(finals // calls):
                for each in speaking:
                    each.observe(FinalReady(utterance(index), f"משפט {index}"))
                await asyncio.sleep(0)
            await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
