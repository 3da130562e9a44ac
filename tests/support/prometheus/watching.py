"""A service under the eyes of a real Prometheus that has the project's alerts, quickened; and callers without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from support.prometheus.observed import SERVICE, TIMES, quickened, rules_of
from support.prometheus.server import Prometheus, prometheus, scraping
from support.service.stack import Stack

AGENT: Final = {"namespace": "voice", "job": "reception"}
"""What tells agents apart in alerts."""
POD: Final = {"pod": "reception-0", "container": "media", "endpoint": "internal"}
"""What Prometheus Operator gives beside it, and `instance`."""


@asynccontextmanager
async def watching(
    folder: Path, port: int, *, times: int = TIMES, **thresholds: tuple[str, str]
) -> AsyncIterator[Prometheus]:
    """Scrape the internal listener on that port, with the alerts `quickened`; the first page has been read."""
    rules = quickened(rules_of(SERVICE), times, **thresholds)
    jobs = [scraping(port, **AGENT, **POD)]
    async with prometheus(folder / "prometheus", jobs, {"batkol.rules.yaml": rules}) as seen:
        await seen.scrapes()
        yield seen


def of_agent(alert: str, severity: str, **labels: str) -> dict[str, str]:
    """All labels of an alert of the agent."""
    return {"alertname": alert, "severity": severity, **AGENT, **labels}


def of_pod(alert: str, severity: str, port: int, **labels: str) -> dict[str, str]:
    """All labels of an alert of the pod whose expression groups by pod."""
    return of_agent(alert, severity, pod=POD["pod"], instance=f"127.0.0.1:{port}", **labels)


def of_series(alert: str, severity: str, port: int, **labels: str) -> dict[str, str]:
    """The labels that every alert of a pod's own series has; OpenTelemetry's scope is beside them."""
    return {**of_pod(alert, severity, port, **labels), **POD}


@asynccontextmanager
async def calling(up: Stack, audio: bytes, callers: int = 1, **plan: Any) -> AsyncIterator[None]:
    """Have callers call again and again, one after the other; leaving it waits for the ends of their calls."""
    apart = len(audio) / 8000 / up.speed / callers
    going = True

    async def again(number: int) -> None:
        await asyncio.sleep(number * apart)  # ranges are seconds, and each is to have something in it
        while going:
            await up.call(audio, caller=f"+97250000010{number}", **plan)

    calls = [asyncio.create_task(again(number), name=f"caller {number}") for number in range(callers)]
    try:
        yield
    finally:
        going = False
        await asyncio.gather(*calls)


@asynccontextmanager
async def again(act: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do it again and again, until left."""

    async def repeat() -> None:
        while True:
            await act()
            await asyncio.sleep(0.2)

    repeating = asyncio.create_task(repeat())
    try:
        yield
        assert not repeating.done(), repeating
    finally:
        repeating.cancel()
        await asyncio.gather(repeating, return_exceptions=True)
