"""Start without the API server: from the mounted files, until the API server's first answer.

The kubelet's copy of the ConfigMap is up to 90 s behind the API server, so after the API server's first answer the
files are not looked at again for as long as the process lives: an older file must not undo a newer change. While the
API server stays away they are followed, as they are then all there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Protocol

import msgspec
import structlog

from batkol.live.source import EMPTY, FileContents, LiveSource
from batkol.status import SourceStatus

START_S: Final = 2.0
"""Seconds for which a start waits for the API server's first answer."""

log = structlog.get_logger()


class TriedSource(LiveSource, Protocol):
    """A source that is waited for; `KubernetesSource` is one."""

    @property
    def tried(self) -> asyncio.Event:
        """Set once the first attempt has come to something, or to nothing."""


class FallbackSource:
    """The ConfigMap, and until it could be read for the first time, the files; without files, the defaults."""

    def __init__(self, source: TriedSource, files: LiveSource | None, *, start_s: float = START_S) -> None:
        self._source = source
        self._files = files
        self._start_s = start_s
        self._stands_in = False

    @property
    def name(self) -> str:
        """The ConfigMap's: `kubernetes:NAMESPACE/NAME`."""
        return self._source.name

    def status(self) -> SourceStatus:
        """See `LiveSource.status`; `meanwhile` names the files while they stand in."""
        status = self._source.status()
        meanwhile = self._files.name if self._files and self._stands_in else None
        return msgspec.structs.replace(status, meanwhile=meanwhile)

    async def watch(self) -> AsyncGenerator[FileContents, None]:
        """See `LiveSource.watch`."""
        async with aclosing(self._source.watch()) as snapshots:
            first = asyncio.create_task(_next(snapshots), name="live.first")
            try:
                if not await self._answered(first):
                    async with aclosing(self._until(first)) as files:
                        async for snapshot in files:
                            yield snapshot
                snapshot = await first
            finally:
                await _end(first)
            yield snapshot
            async for snapshot in snapshots:
                yield snapshot

    async def _answered(self, first: asyncio.Task[FileContents]) -> bool:
        """Wait for the first attempt to come to something, but not for long; for ever where it has spoken before."""
        tried = asyncio.create_task(self._source.tried.wait(), name="live.tried")
        try:
            await asyncio.wait({first, tried}, timeout=self._start_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tried)
        if not first.done() and self._source.status().resource_version is not None:
            await asyncio.wait({first})
        return first.done()

    async def _until(self, first: asyncio.Task[FileContents]) -> AsyncGenerator[FileContents, None]:
        """Yield the contents of the files until the API server's first answer."""
        why = self._source.status().why or f"The API server has not answered within {self._start_s:g} s."
        if self._files is None:
            log.warning(
                "[CFG] live source starts from the settings alone; set LIVE_START_FROM", source=self.name, why=why
            )
            yield EMPTY
            return
        log.warning(
            "[CFG] live source starts from the mounted files", source=self.name, files=self._files.name, why=why
        )
        self._stands_in = True
        try:
            async with aclosing(self._files.watch()) as snapshots:
                while True:
                    turn = asyncio.create_task(_next(snapshots), name="live.files")
                    try:
                        await asyncio.wait({first, turn}, return_when=asyncio.FIRST_COMPLETED)
                        if first.done():
                            return
                        snapshot = turn.result()
                    finally:
                        await _end(turn)
                    yield snapshot
        finally:
            self._stands_in = False


async def _next(snapshots: AsyncGenerator[FileContents, None]) -> FileContents:
    return await anext(snapshots)


async def _end(task: asyncio.Task[FileContents] | asyncio.Task[bool]) -> None:
    """Cancel a task, whatever it has come to, and wait until it is gone."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
