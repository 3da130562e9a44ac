"""Figures of this process, which must return to where they were when the calls are over."""

from __future__ import annotations

import asyncio
from typing import Final

import psutil  # type: ignore[import-untyped]  # has no types

from batkol.status import ProcessStatus
from batkol.telemetry.metrics import Metrics

_SELF: Final = psutil.Process()


def process() -> ProcessStatus:
    """Return the tasks of the running loop and the resident memory in MB, for `/v1/status`."""
    return ProcessStatus(tasks=len(asyncio.all_tasks()), rss_mb=round(_SELF.memory_info().rss / 1e6, 1))


def expose(metrics: Metrics) -> None:
    """Have tasks, memory and CPU of this process read at each scrape, which may come on any thread."""
    loop = asyncio.get_running_loop()
    metrics.gauge("batkol.tasks", "Tasks on the event loop.", lambda: len(asyncio.all_tasks(loop)))
    metrics.gauge(
        "batkol.process.resident_bytes", "Resident memory of the process, in bytes.", lambda: _SELF.memory_info().rss
    )
    metrics.counter(
        "batkol.process.cpu",
        "s",
        "CPU time of the process, user and system, in seconds.",
        lambda: sum(_SELF.cpu_times()[:2]),
    )
