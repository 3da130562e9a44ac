"""Which of its two sources a pod follows, by the minute and the hour: what real files and a real API server cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from structlog.testing import capture_logs

from batkol.live.fallback import START_S, FallbackSource
from batkol.live.source import FileContents, SourceState
from batkol.status import SourceStatus
from support.time.virtual import virtual_loop

pytestmark = pytest.mark.virtual_time


class Scripted:
    """A source whose contents a test says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tried = asyncio.Event()
        self.version: str | None = None
        self.open = self.opened = 0
        self._said: asyncio.Queue[str] = asyncio.Queue()

    def say(self, text: str) -> None:
        self._said.put_nowait(text)

    def status(self) -> SourceStatus:
        return SourceStatus(state=SourceState.WATCHING, resource_version=self.version)

    async def watch(self) -> AsyncGenerator[FileContents, None]:
        self.open += 1
        self.opened += 1
        try:
            while True:
                text = await self._said.get()
                self.version = text
                self.tried.set()
                yield {"tuning.json": text.encode()}
        finally:
            self.open -= 1


class Pod:
    """What a pod follows, with the time at which each of its contents came."""

    def __init__(self) -> None:
        self.api, self.files = Scripted("kubernetes:calls/desk"), Scripted("file:/etc/live")
        self.source = FallbackSource(self.api, self.files)
        self.got: list[tuple[float, str]] = []
        self._begun = virtual_loop().time()

    async def follow(self) -> None:
        async with aclosing(self.source.watch()) as snapshots:
            async for snapshot in snapshots:
                at = round(virtual_loop().time() - self._begun, 3)
                self.got.append((at, (snapshot["tuning.json"] or b"").decode()))


@asynccontextmanager
async def following() -> AsyncIterator[Pod]:
    with capture_logs():
        pod = Pod()
        task = asyncio.create_task(pod.follow())
        yield pod
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (pod.api.open, pod.files.open) == (0, 0)


async def test_an_api_server_that_says_nothing_is_waited_for_as_long_as_a_start_may_take() -> None:
    async with following() as pod:
        pod.files.say("mounted")
        await asyncio.sleep(START_S - 0.1)
        assert (pod.got, pod.files.opened) == ([], 0)
        await asyncio.sleep(60)

        assert pod.got == [(START_S, "mounted")]
        assert pod.source.status().meanwhile == "file:/etc/live"


async def test_one_whose_first_attempt_failed_is_not_waited_for() -> None:
    async with following() as pod:
        pod.files.say("mounted")
        await asyncio.sleep(0.5)
        pod.api.tried.set()
        await asyncio.sleep(0.1)

        assert pod.got == [(0.5, "mounted")]


async def test_the_files_are_followed_until_its_first_answer_and_never_looked_at_again() -> None:
    async with following() as pod:
        pod.files.say("mounted")
        await asyncio.sleep(600)
        pod.files.say("mounted later")
        await asyncio.sleep(600)
        pod.api.say("answered")
        await asyncio.sleep(1)
        assert (pod.files.open, pod.source.status().meanwhile) == (0, None)
        pod.files.say("an older copy")
        await asyncio.sleep(24 * 3600)
        pod.api.say("changed")
        await asyncio.sleep(1)

        assert [text for _, text in pod.got] == ["mounted", "mounted later", "answered", "changed"]
        assert pod.files.opened == 1


async def test_one_that_answers_in_time_leaves_the_files_unread() -> None:
    async with following() as pod:
        pod.files.say("mounted")
        await asyncio.sleep(START_S - 0.1)
        pod.api.say("answered")
        await asyncio.sleep(24 * 3600)

        assert pod.got == [(START_S - 0.1, "answered")]
        assert pod.files.opened == 0


async def test_a_watch_that_is_opened_again_waits_for_hours_rather_than_for_the_files() -> None:
    async with following() as pod:
        pod.api.say("answered")
        await asyncio.sleep(1)
        again = asyncio.create_task(pod.follow())
        pod.files.say("mounted")
        await asyncio.sleep(24 * 3600)

        assert (len(pod.got), pod.files.opened) == (1, 0)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
