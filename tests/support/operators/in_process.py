"""A whole operator, kopf and all, in this process and against a quick API server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batkol_operator.bootstrap import Overrides, run_operator
from batkol_operator.metrics import OperatorMetrics
from batkol_operator.reconcile.liveness import LoopWatchdog
from batkol_operator.settings import OperatorSettings
from support.kube.api import KubeApi


@dataclass(frozen=True, slots=True)
class RunningOperator:
    """What a test may look at, and how it ends."""

    metrics: OperatorMetrics
    watchdog: LoopWatchdog
    stop: Callable[[], None]
    loop: asyncio.AbstractEventLoop

    def cancel(self, name: str) -> None:
        """Cancel its tasks of that name, as nobody should."""

        def cancel() -> None:
            for task in asyncio.all_tasks():
                if task.get_name() == name:
                    task.cancel()

        self.loop.call_soon_threadsafe(cancel)


@contextmanager
def running_operator(api: KubeApi, key_file: Path, **settings: Any) -> Iterator[RunningOperator]:
    """Run one on a thread and a loop of its own, so that stopping it waits for none of the test's tasks."""
    key_file.write_bytes(b"k" * 32)
    ours: dict[str, Any] = {
        "service_image": "registry.example.com/batkol:1",
        "operator_key_file": key_file,
        "metrics_port": 0,
    }
    chosen = OperatorSettings(**{**ours, **settings})
    metrics, watchdog = OperatorMetrics(), LoopWatchdog()
    loop = asyncio.new_event_loop()
    stop, ready, ended = asyncio.Event(), threading.Event(), []

    async def run() -> None:
        started = asyncio.Event()
        telling = asyncio.create_task(_tell(started, ready))
        try:
            await run_operator(
                chosen, Overrides(access=lambda: api.access, metrics=metrics, watchdog=watchdog, ready=started), stop
            )
        finally:
            telling.cancel()

    def body() -> None:
        try:
            loop.run_until_complete(run())
        except BaseException as error:  # noqa: BLE001 -- handed to the test
            ended.append(error)
        finally:
            ready.set()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def tell() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join(30)

    thread = threading.Thread(target=body, name="operator", daemon=True)
    thread.start()
    ready.wait(30)
    try:
        yield RunningOperator(metrics, watchdog, tell, loop)
    finally:
        tell()
        if ended:
            raise ended[0]


async def _tell(started: asyncio.Event, ready: threading.Event) -> None:
    await started.wait()
    ready.set()
