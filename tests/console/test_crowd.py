"""A hundred live calls on one page: no task of more than 50 ms of CPU, and the main thread idle most of the time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batkol.events.bus import Bus
from batkol.events.events import AnyEvent
from support.browser.tracing import task_times
from support.console.visit import visit

pytestmark = pytest.mark.nightly

RECORDED = Path(__file__).with_name("recorded_call.jsonl")
"""The events of the call of `batkol demo`: 40 s, six turns."""
CALLS = 100
SECONDS = 20.0
LONGEST_TASK_MS = 50
BUSIEST = 0.3


IS_IDLE = "new Promise((idle) => requestIdleCallback(() => idle()))"
"""The page has drawn what came at once when it was opened, and waits for more."""


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text("utf-8").splitlines()]


async def replay(bus: Bus, seconds: float) -> int:
    """Publish the recording a hundred times, each copy at another place of it, as time passes. Returns the events."""
    lines = recorded()
    begun, published = time.time(), 0
    length = lines[-1]["at"] - lines[0]["at"]
    for at, number, line in _due(lines, length):
        if at > seconds:
            break
        if (wait := begun + at - time.time()) > 0:
            await asyncio.sleep(wait)
        bus.publish(_copy(line, number, begun + at), line.get("agent", ""))
        published += 1
    return published


def _due(lines: list[dict[str, Any]], length: float) -> list[tuple[float, int, dict[str, Any]]]:
    """Return when each event of each copy is due, in s: what a copy is beyond at the start comes at once."""
    found = []
    for number in range(CALLS):
        ahead = 0.6 * length * number / CALLS
        found += [
            (max(0.0, line["at"] - lines[0]["at"] - ahead), number, line)
            for line in lines
            if line["type"] != "call.ended"
        ]
    return sorted(found, key=lambda each: each[0])


def _copy(line: dict[str, Any], number: int, at: float) -> AnyEvent:
    sids = {"call_sid": f"CA{number:032x}", "stream_sid": f"MZ{number:032x}", "id": "", "at": at}
    if line.get("reply_id"):
        sids["reply_id"] = f"MZ{number:032x}-{line['reply_id'].rpartition('-')[2]}"
    return msgspec.convert({**line, **sids}, AnyEvent)  # type: ignore[no-any-return]


async def test_a_hundred_live_calls_leave_the_page_quick(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        await page.send("Performance.enable", timeDomain="threadTicks")
        started = asyncio.create_task(replay(at.up.service.bus, SECONDS))
        await page.until(f"document.querySelectorAll('.calls li').length === {CALLS}")
        await page.click(".call")
        await page.sees(".detail .entry")
        await page.run(IS_IDLE)
        before, busy = time.monotonic(), await _busy(page)
        async with task_times(at.browser.devtools) as tasks:
            published = await started
            part = (await _busy(page) - busy) / (time.monotonic() - before)
        longest = max(tasks.all)
        figures = f"{published} events; main thread busy {part:.1%}, longest of {len(tasks.all)} tasks {longest:.1f} ms"
        record_property("figures", figures)

        assert published > 20 * CALLS
        assert longest <= LONGEST_TASK_MS, figures
        assert part <= BUSIEST, figures
        assert page.complaints == []


async def _busy(page: Any) -> float:
    """Return the seconds of CPU that the page's main thread has taken so far."""
    metrics = (await page.send("Performance.getMetrics"))["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))
