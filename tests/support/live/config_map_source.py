"""A watch on the ConfigMap of `support.kube.config_map_api`, and what it has handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from batkol.live.cluster import ObjectName
from batkol.live.kubernetes import KubernetesSource, WatchTimings
from batkol.live.source import FileContents, SourceState
from support.http.plain import Request
from support.kube.config_map_api import NAME, NAMESPACE, ConfigMapApi
from support.kube.kubeconfig import reaching
from support.time.waiting import until

WHERE = ObjectName(NAMESPACE, NAME)
QUICK = WatchTimings(first_wait=0.005, longest_wait=0.02, healthy=0.0, silence=30.0)
ONE = {"tuning.json": "{}", "flags.json": '{"flags": {}}', "reply.json": '{"prompt": "ענה בקצרה"}'}
TWO = {"tuning.json": '{"revision": "2"}'}
NOTHING = {"tuning.json": None, "flags.json": None, "reply.json": None}


class Followed:
    """A source that is followed, and what it has handed over."""

    def __init__(self, source: KubernetesSource) -> None:
        self.source = source
        self.snapshots: list[FileContents] = []

    async def run(self) -> None:
        async with aclosing(self.source.watch()) as snapshots:
            async for snapshot in snapshots:
                self.snapshots.append(snapshot)

    @property
    def last(self) -> FileContents | None:
        return self.snapshots[-1] if self.snapshots else None

    async def shows(self, contents: dict[str, str]) -> None:
        await until(lambda: self.last == raw(contents), 50)  # it may be backing off

    async def watches(self) -> None:
        await until(lambda: self.source.status().state is SourceState.WATCHING)


def raw(contents: dict[str, str]) -> FileContents:
    return NOTHING | {name: text.encode() for name, text in contents.items()}


@asynccontextmanager
async def followed(api: ConfigMapApi, folder: Path, pace: WatchTimings = QUICK, **user: str) -> AsyncIterator[Followed]:
    with reaching(api.url, folder, **user):
        here = Followed(KubernetesSource(WHERE, pace=pace))
        task = asyncio.create_task(here.run())
        try:
            yield here
        finally:
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)


def refusing(
    code: int, message: str, *, watches: bool | None = None, times: int = 1_000_000
) -> Callable[[Request], tuple[int, str] | None]:
    """Refuse requests: all of them, lists alone or watches alone, so many times."""
    left = times

    def answer(request: Request) -> tuple[int, str] | None:
        nonlocal left
        if left and (watches is None or request.watches is watches):
            left -= 1
            return code, message
        return None

    return answer
