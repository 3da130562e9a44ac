"""Live configuration from a directory: a laptop's, or a mounted ConfigMap.

What people and programs do to such a directory, and why none of it is missed:

- write in place, or write beside and rename: inotify reports it, within 0.1 to 0.2 s;
- swap the `..data` symlink, as the kubelet does
  (https://kubernetes.io/docs/concepts/configuration/configmap/): a rename inside the directory, so inotify
  reports it;
- put back an *older* file (`cp -p`, rsync, an image layer): contents are compared, never times;
- replace or remove the directory itself, retarget a link to it, use a file system without inotify (NFS, some
  container mounts), run out of inotify watches: the contents are read every `tick` seconds in any case. That is three
  small files, and it also catches whatever this list has forgotten.

What has been half written, or removed to be written again, is given `settle` seconds to become whole before it is
handed on.

All that touches the directory runs on daemon threads (`batkol.blocking`): on a file system that does not answer,
a network's for one, it hangs, and neither the loop nor the end of the process may hang with it.

Not seen, because the kernel does not report it: a ConfigMap mounted by `subPath` never changes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import structlog
from watchfiles import watch

from batkol.blocking import BlockingCalls
from batkol.errors import ConfigurationError
from batkol.live.directory import READ_S, DirectoryReads
from batkol.live.source import EMPTY, LARGEST, NAMES, FileContents
from batkol.paths import is_folder
from batkol.status import SourceStatus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTimings:
    """Intervals between reads, in seconds."""

    tick: float = 1.0  # the longest a change can stay unseen, whatever the file system
    eager: float = 0.25  # between two reads while something is happening, or nothing can be watched
    eager_for: float = 1.0  # after the last sign of change
    settle: float = 0.2  # for what is half written


class FileSource:
    """Watches one directory for the live files; `path` is the directory or one of them."""

    def __init__(self, path: str | Path, *, read_s: float = READ_S, pace: ReadTimings = ReadTimings()) -> None:
        path = Path(path)
        if path.name in NAMES:
            path = path.parent
        elif path.suffix == ".json" and not is_folder(path):
            raise ConfigurationError(
                f"LIVE_SOURCE names the file {path.name!r}, but the service reads {', '.join(NAMES[:-1])} and "
                f"{NAMES[-1]}. Name the directory of these files, or one of them."
            )
        self.directory = path
        self._reads = DirectoryReads(path, read_s)
        self._pace = pace
        self._problem = ""

    @property
    def name(self) -> str:
        """`file:DIRECTORY`."""
        return f"file:{self.directory}"

    def status(self) -> SourceStatus:
        """See `LiveSource.status`. A directory that is not there is watched for, too."""
        return self._reads.status()

    async def watch(self) -> AsyncGenerator[FileContents, None]:
        """See `LiveSource.watch`. Where the first read hangs, it begins as if there were no files."""
        last: FileContents | None = None
        noticed = asyncio.Event()
        noticing = asyncio.create_task(self._notice(noticed), name="live.notice")
        clock = asyncio.get_running_loop().time
        eager_until = clock() + self._pace.eager_for
        try:
            while True:
                if noticing.done():
                    noticing.result()  # raises unexpected errors; `watch` is started again
                if noticed.is_set():
                    noticed.clear()
                    eager_until = clock() + self._pace.eager_for
                snapshot = await self._reads.snapshot()
                if snapshot is not None and snapshot != last and _unfinished(snapshot, last):
                    await asyncio.sleep(self._pace.settle)
                    snapshot = await self._reads.snapshot()
                if snapshot is None:
                    snapshot = EMPTY if last is None else last
                if snapshot != last:
                    last = snapshot
                    yield snapshot
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.eager if clock() < eager_until else self._pace.tick):
                        await noticed.wait()
        finally:
            noticing.cancel()
            # Nothing of it may come out here: it would take the place of the cancellation that got us here.
            await asyncio.gather(noticing, self._reads.close(), return_exceptions=True)

    async def _notice(self, noticed: asyncio.Event) -> None:
        """Set `noticed` when inotify reports a change, and while inotify is not available."""
        calls, stop = BlockingCalls("live.notice"), threading.Event()
        try:
            while True:
                identity = await calls.submit(self._identity)
                noticed.set()  # what was written before the watch began is found by the eager reads
                if identity is None:
                    await asyncio.sleep(self._pace.eager)
                    continue
                try:
                    await self._follow(identity, noticed, calls, stop)
                except (OSError, RuntimeError) as error:  # watchfiles' own errors are RuntimeErrors
                    self._complain(
                        f"the service cannot watch the directory ({type(error).__name__}); "
                        "the service polls the directory instead"
                    )
                    await asyncio.sleep(self._pace.eager)
        finally:
            stop.set()
            await calls.close()

    async def _follow(
        self, identity: tuple[int, int], noticed: asyncio.Event, calls: BlockingCalls, stop: threading.Event
    ) -> None:
        """Set `noticed` at each change in this directory, until the path leads to another one."""
        # watchfiles wakes once in a `step` to look, which is most of what watching costs; `debounce` bounds how
        # long a busy directory can hold a change back; the time-out is for the directory's identity.
        events = watch(
            self.directory,
            recursive=False,
            watch_filter=None,
            step=100,
            debounce=200,
            rust_timeout=5000,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=False,
        )
        while (changes := await calls.submit(partial(next, events, None))) is not None:
            if changes:  # and not a time-out
                noticed.set()
            if await calls.submit(self._identity) != identity:
                break
        await calls.submit(events.close)

    def _identity(self) -> tuple[int, int] | None:
        """Return the directory to which the path leads now, or None."""
        try:
            stat = self.directory.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def _complain(self, problem: str) -> None:
        if problem != self._problem:  # once, not twice a second
            self._problem = problem
            log.warning("[CFG] live source failed", source=self.name, problem=problem)


def _unfinished(snapshot: FileContents, last: FileContents | None) -> bool:
    """Return whether a change looks as if its writer had not finished."""
    for name, content in snapshot.items():
        before = last.get(name) if last else None
        if content == before:
            continue
        if content is None:
            return True
        if len(content) > LARGEST:
            continue
        try:
            msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return True
    return False
