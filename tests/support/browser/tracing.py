"""How long the tasks of a page's main thread take, in CPU time: what else runs on the machine does not count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from support.browser.devtools import Devtools

_TASKS: Final = frozenset({"RunTask", "ThreadControllerImpl::RunTask"})
_MAIN: Final = "CrRendererMain"


class TaskTimes:
    """Milliseconds of CPU of each task of the main threads of all pages."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []

    def take(self, events: list[dict[str, Any]]) -> None:
        self._events += events

    @property
    def all(self) -> list[float]:
        named = [each for each in self._events if each["name"] == "thread_name" and each["args"]["name"] == _MAIN]
        threads = {(each["pid"], each["tid"]) for each in named}
        tasks = (each for each in self._events if each["name"] in _TASKS and (each["pid"], each["tid"]) in threads)
        return [each["tdur"] / 1000 for each in tasks if "tdur" in each]


@asynccontextmanager
async def task_times(devtools: Devtools) -> AsyncIterator[TaskTimes]:
    """Trace the browser; the times are complete when this is left."""
    times, complete = TaskTimes(), asyncio.Event()
    devtools.on("Tracing.dataCollected", lambda event: times.take(event["value"]))
    devtools.on("Tracing.tracingComplete", lambda _: complete.set())
    categories = ["toplevel", "disabled-by-default-devtools.timeline"]
    config = {"recordMode": "recordUntilFull", "includedCategories": categories, "excludedCategories": ["*"]}
    await devtools.send("Tracing.start", transferMode="ReportEvents", traceConfig=config)
    yield times
    await devtools.send("Tracing.end")
    async with asyncio.timeout(60):
        await complete.wait()
