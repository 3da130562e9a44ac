"""The bytes of a journal's files, read without SQLite, which takes a device that gives none for a damaged file.

A read error is waited for, since a volume that reconnects gives everything again. It is noted in the folder when the
first one came, so that the wait goes on over restarts of the process: by a clock that cannot be set, since a machine
that is restored may lose its device for a moment and gain a day. Only parts that could not be read for all that time
go.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from batkol.store.journal.faults import DiskError

UNREADABLE: Final = "unreadable"
"""File in the journal's folder while the device gives no bytes. It has the time of the first error.

The time is the machine's boot id, and seconds since the boot.
"""

UNREADABLE_S: Final = 300.0
"""Seconds for which a read error is waited for."""

_PART_BYTES: Final = 16 << 10
_WINDOW: Final = 1 << 20

ReadAt = Callable[[int, int, int], bytes]
"""`os.pread`, or one that fails."""


class Device:
    """The device below the journal's folder. For the journal's thread."""

    def __init__(self, folder: Path, read: ReadAt = os.pread) -> None:
        self._mark = folder / UNREADABLE
        self._read = read
        self._is_noted: bool | None = None  # None: not looked at yet
        self._given = 0
        self.is_filling = False
        """Whether what cannot be read is zeros from now on, and no error."""

    def check(self, paths: Iterable[Path]) -> None:
        """Read these files once. Raises `DiskError`: the device gives no bytes, and may give them later.

        Where it lasts, and other parts can be read, `is_filling` is set instead.
        """
        self.is_filling = False
        there = list(paths)
        try:
            for path in there:
                self._read_all(path)
        except OSError as error:
            if not self._has_lasted():
                raise self._error(error) from None
            self._fill(there, error)
        else:
            self.works()

    def _fill(self, paths: Iterable[Path], error: OSError) -> None:
        self.is_filling, self._given = True, 0
        for path in paths:
            self._read_all(path)
        if not self._given:
            self.is_filling = False
            raise self._error(error)

    def _read_all(self, path: Path) -> None:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            for offset in range(0, os.fstat(file).st_size, _WINDOW):
                self.bytes_at(file, offset, _WINDOW)
        finally:
            os.close(file)

    def bytes_at(self, file: int, offset: int, count: int) -> bytes:
        """Read. Raises `DiskError`, or gives zeros for what cannot be read, if it is filling."""
        try:
            data = self._read(file, count, offset)
        except OSError as error:
            if self.is_filling:
                return self._parts(file, offset, count)
            raise self._error(error) from None
        self._given += len(data)
        return data

    def _parts(self, file: int, offset: int, count: int) -> bytes:
        count = max(0, min(count, os.fstat(file).st_size - offset))
        found = bytearray(count)
        for at in range(0, count, _PART_BYTES):
            with suppress(OSError):
                part = self._read(file, min(_PART_BYTES, count - at), offset + at)
                found[at : at + len(part)] = part
                self._given += len(part)
        return bytes(found)

    def works(self) -> None:
        """Bytes were read, so the next error is the first one."""
        if self._is_noted is not False:
            with suppress(OSError):  # it is tried again at the next read
                self._mark.unlink(missing_ok=True)
                self._is_noted = False

    def _has_lasted(self) -> bool:
        self._is_noted = True
        boot, now = _boot(), time.monotonic()
        with suppress(OSError):  # a device that takes nothing either is waited for
            noted = self._mark.read_text(errors="replace").partition(" ") if self._mark.exists() else ("", "", "")
            since = _seconds(noted[2])
            if noted[0] == boot and since is not None and since <= now:
                return now - since >= UNREADABLE_S
            file = os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "w") as mark:
                mark.write(f"{boot} {now}")
        return False

    def _error(self, error: OSError) -> DiskError:
        if isinstance(error, DiskError):
            return error
        return DiskError(f"the journal's file cannot be read from the disk: {error}", sqlite3.SQLITE_IOERR)


def _boot() -> str:
    """Return the name of the machine's present run: `time.monotonic()` counts anew in the next one."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "unknown"


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def locked(path: Path) -> int:
    """Open a lock file and have it alone. Raises `OSError`: another process has it, or it cannot be made."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise OSError("another process uses it") from None
    except OSError:
        os.close(lock)
        raise
    return lock
