"""Live configuration from a directory: a laptop's, or a mounted ConfigMap.

What people and programs do to such a directory, and why none of it is missed:

- write in place, or write beside and rename: inotify tells, within 0.1 to 0.2 s;
- swap the `..data` symlink, as the kubelet does
  (https://kubernetes.io/docs/concepts/configuration/configmap/): a rename inside the directory, so inotify
  tells;
- put back an *older* file (`cp -p`, rsync, an image layer): contents are compared, never times;
- replace or remove the directory itself, retarget a link to it, use a file system without inotify (NFS, some
  container mounts), run out of inotify watches: the contents are read every TICK_S in any case. That is two
  small files, and it also catches whatever this list has forgotten.

What has been half written, or removed to be written again, is given SETTLE_S to become whole before it is
handed on.

Not seen, because the kernel shows nobody: a ConfigMap mounted by `subPath` never changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec
import structlog
from watchfiles import awatch

from batkol.errors import ConfigurationError
from batkol.live.source import LARGEST, NAMES, Snapshot, SourceState, SourceStatus

TICK_S = 1.0  # the longest a change can stay unseen, whatever the file system
EAGER_S = 0.25  # how often to read while something is happening, or nothing can be watched
EAGER_FOR_S = 1.0  # how long after the last sign of change
SETTLE_S = 0.2

log = structlog.get_logger()


class FileSource:
    """Watches one directory for `tuning.json` and `flags.json`; `path` is the directory or one of the two."""

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if path.name in NAMES:
            path = path.parent
        elif path.suffix == ".json" and not path.is_dir():
            raise ConfigurationError(
                f"LIVE_SOURCE names the file {path.name!r}, but the service reads {' and '.join(NAMES)}. "
                "Name the directory that holds them, or one of them."
            )
        self.directory = path
        self._problem = ""
        self._looked: float | None = None  # when, monotonic seconds

    @property
    def name(self) -> str:
        """`file:DIRECTORY`."""
        return f"file:{self.directory}"

    def status(self) -> SourceStatus:
        """See `LiveSource.status`. A directory that is not there is watched for, too."""
        if self._looked is None:
            return SourceStatus(state=SourceState.STARTING)
        return SourceStatus(state=SourceState.WATCHING, heard_s=time.monotonic() - self._looked)

    async def watch(self) -> AsyncGenerator[Snapshot, None]:
        """See `LiveSource.watch`."""
        last: Snapshot | None = None
        noticed = asyncio.Event()
        noticing = asyncio.create_task(self._notice(noticed), name="live.notice")
        clock = asyncio.get_running_loop().time
        eager_until = clock() + EAGER_FOR_S
        try:
            while True:
                if noticing.done():
                    noticing.result()  # raises what it did not expect; whoever watches begins anew
                if noticed.is_set():
                    noticed.clear()
                    eager_until = clock() + EAGER_FOR_S
                snapshot = await asyncio.to_thread(self._read)
                if snapshot != last and _unfinished(snapshot, last):
                    await asyncio.sleep(SETTLE_S)
                    snapshot = await asyncio.to_thread(self._read)
                if snapshot != last:
                    last = snapshot
                    yield snapshot
                with suppress(TimeoutError):
                    async with asyncio.timeout(EAGER_S if clock() < eager_until else TICK_S):
                        await noticed.wait()
        finally:
            noticing.cancel()
            # Nothing of it may come out here: it would take the place of the cancellation that got us here.
            await asyncio.gather(noticing, return_exceptions=True)

    async def _notice(self, noticed: asyncio.Event) -> None:
        """Set `noticed` when inotify tells of something, and while it cannot."""
        while True:
            identity = await asyncio.to_thread(self._identity)
            noticed.set()  # what was written before the watch began is found by the eager reads
            if identity is None:
                await asyncio.sleep(EAGER_S)
                continue
            try:
                async with aclosing(self._events()) as events:
                    async for changes in events:
                        if changes:  # and not a time-out
                            noticed.set()
                        if await asyncio.to_thread(self._identity) != identity:
                            break
            except (OSError, RuntimeError) as error:  # watchfiles' own errors are RuntimeErrors
                self._complain(f"the directory cannot be watched ({type(error).__name__}); it is polled instead")
                await asyncio.sleep(EAGER_S)

    def _events(self) -> AsyncGenerator[Collection[object], None]:
        # watchfiles wakes once in a `step` to look, which is most of what watching costs; `debounce` bounds how
        # long a busy directory can hold a change back; the time-out is for the directory's identity.
        return awatch(
            self.directory,
            recursive=False,
            watch_filter=None,
            step=100,
            debounce=200,
            rust_timeout=5000,
            yield_on_timeout=True,
        )

    def _identity(self) -> tuple[int, int] | None:
        """Which directory the path leads to now, or None."""
        try:
            stat = self.directory.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def _read(self) -> Snapshot:
        self._looked = time.monotonic()
        return {name: self._read_one(name) for name in NAMES}

    def _read_one(self, name: str) -> bytes | None:
        try:
            with (self.directory / name).open("rb") as file:
                return file.read(LARGEST + 1)  # one more than is taken, so that it is refused
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._complain(f"{name} cannot be read ({type(error).__name__})")
            return None

    def _complain(self, problem: str) -> None:
        if problem != self._problem:  # once, not twice a second
            self._problem = problem
            log.warning("[CFG] Live source in difficulty", source=self.name, problem=problem)


def _unfinished(snapshot: Snapshot, last: Snapshot | None) -> bool:
    """Tell whether something that changed looks as if its writer had not finished."""
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
