"""The live files of a directory, read on a thread that may hang with its file system, and how that goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from batkol.blocking import BlockingCalls
from batkol.live.regular_file import NotRegularError, read_regular
from batkol.live.source import LARGEST, NAMES, FileContents, SourceState
from batkol.status import SourceStatus

READ_S: Final = 3.0
"""Seconds after which a read counts as hanging; the read is awaited all the same."""

log = structlog.get_logger()


class DirectoryReads:
    """Reads the live files as often as it is asked, and knows what is in the way."""

    def __init__(self, directory: Path, read_s: float) -> None:
        self._directory = directory
        self._read_s = read_s
        self._calls: BlockingCalls | None = None
        self._reading: asyncio.Future[_Read] | None = None
        self._hangs = ""
        self._unreadable: Mapping[str, str] = {}  # by file: why it is not read
        self._since: str | None = None  # when what is in the way began to be
        self._begun: float | None = None  # when the first read was, monotonic seconds
        self._returned: float | None = None  # when a read last did

    def status(self) -> SourceStatus:
        """See `LiveSource.status`. Where no read has returned yet, it has been silent since the first was begun."""
        why = self._hangs or " ".join(self._unreadable.values()) or None
        state = SourceState.STARTING if self._returned is None else SourceState.WATCHING
        last = self._begun if self._returned is None else self._returned
        return SourceStatus(
            state=SourceState.RETRYING if self._hangs else state,
            since=self._since if why else None,
            why=why,
            heard_s=None if last is None else time.monotonic() - last,
        )

    async def snapshot(self) -> FileContents | None:
        """Read all files. None: the read has not returned in time, and the next look waits for the same one.

        Cancelling it loses nothing.
        """
        if self._begun is None:
            self._begun = time.monotonic()
        if self._reading is None:
            self._calls = self._calls or BlockingCalls("live.read")
            self._reading = self._calls.submit(self._read)
        await asyncio.wait({self._reading}, timeout=self._read_s)
        if not self._reading.done():
            self._log_hang()
            return None
        read, self._reading = self._reading.result(), None
        self._returned = time.monotonic()
        self._log_changes(read)
        return read.snapshot

    async def close(self) -> None:
        """End the thread; a read that hangs is given up."""
        if self._reading is not None:
            self._reading.cancel()
        calls, self._reading, self._calls = self._calls, None, None
        if calls is not None:
            await calls.close()

    def _log_hang(self) -> None:
        if self._hangs:
            return
        self._since = _now()
        self._hangs = (
            f"A read of {self._directory} has not returned for {self._read_s:g} s: the file system does not "
            "answer. What is in force stays, and the service sees no changes until the read returns. Check the "
            "mount and its file server."
        )
        log.warning("[CFG] live source failed", source=f"file:{self._directory}", problem=self._hangs)

    def _log_changes(self, read: _Read) -> None:
        if self._hangs:
            log.info("[CFG] live source recovered", source=f"file:{self._directory}", since=self._since)
        for name, why in read.unreadable.items():
            if self._unreadable.get(name) != why:  # once, not twice a second
                log.warning("[CFG] live source failed", source=f"file:{self._directory}", problem=why)
        if self._hangs or not self._unreadable:
            self._since = _now()
        self._hangs, self._unreadable = "", read.unreadable

    def _read(self) -> _Read:
        snapshot: dict[str, bytes | None] = {}
        unreadable: dict[str, str] = {}
        for name in NAMES:
            snapshot[name] = None
            try:
                # One byte more than is taken, so that it is refused.
                snapshot[name] = read_regular(self._directory / name, LARGEST + 1)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except NotRegularError as error:
                unreadable[name] = (
                    f"{name} is {error}, which the service does not read; put a regular file in its place."
                )
            except OSError as error:
                unreadable[name] = f"{name} cannot be read ({type(error).__name__}: {error.strerror})."
        return _Read(snapshot, unreadable)


class _Read(NamedTuple):
    snapshot: FileContents
    unreadable: Mapping[str, str]  # by file: why


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
