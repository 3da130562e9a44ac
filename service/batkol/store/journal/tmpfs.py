"""Tier 1: the newest records, in memory that outlives the process.

A subscriber may see a final at once; the disk may take its time. In between the record stands here: in one file of a
`tmpfs` (`/dev/shm`), opened once, where a write is a copy in memory that waits for no device, and which is still there
after `kill -9`. Where there is no `tmpfs`, the file lies beside the journal.

A write goes to the offset behind the last whole frame, so what an error leaves there is written over by the next one,
and what is left of it is skipped by the reader (`framing`).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from batkol.paths import is_folder
from batkol.store.journal.framing import Frame, frames

DROPPED_AT: Final = 64 << 10
"""Bytes from which what is safe elsewhere is dropped."""

MOVED_BYTES: Final = 1 << 20
"""Bytes that may be moved to the front of the file, on the event loop, so that the rest can be dropped."""

NAME: Final = "newest"
_ID_FILE: Final = "front-id"
_ID: Final = re.compile(r"[0-9a-f]{16}")

log = structlog.get_logger()


class FileCalls:
    """The system calls of this file; a test passes in calls that fail."""

    def open(self, path: Path) -> int:
        """Open or make it, for this user alone."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def lock(self, file: int) -> None:
        """Lock the file for this process alone, or raise `BlockingIOError`."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def size(self, file: int) -> int:
        """Return its length in bytes."""
        return os.fstat(file).st_size

    def read(self, file: int, count: int, offset: int) -> bytes:
        """Read up to `count` bytes."""
        return os.pread(file, count, offset)

    def write(self, file: int, data: bytes, offset: int) -> int:
        """Write, and return how many bytes found room."""
        return os.pwrite(file, data, offset)

    def truncate(self, file: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(file, size)

    def is_at(self, path: Path, file: int) -> bool:
        """Return whether the path still leads to this file."""
        try:
            return os.path.samestat(os.lstat(path), os.fstat(file))
        except FileNotFoundError:
            return False


class MemoryFile:
    """One file, which only this process has. `append` is called by the event loop. All raise `OSError`."""

    def __init__(self, folder: Path, calls: FileCalls | None = None) -> None:
        """Open the file. Raises `OSError`: the folder is another user's, cannot be made, or is in use."""
        self._calls = calls or FileCalls()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(f"other users may write to {folder}")
        self.path = folder / NAME
        self._file, self.size = self._opened()

    def _opened(self) -> tuple[int, int]:
        file = self._calls.open(self.path)
        try:
            self._calls.lock(file)
            return file, self._calls.size(file)
        except OSError:
            os.close(file)
            raise

    def leftover(self) -> list[Frame]:
        """Return what a process that did not end in good order left here."""
        return list(frames(self._calls.read(self._file, self.size, 0)))

    def append(self, data: bytes) -> None:
        """Add a frame. Raises `OSError` where there is no room; the next frame is written in its place then."""
        self._write(self._file, data, self.size)
        self.size += len(data)

    def _write(self, file: int, data: bytes, offset: int) -> None:
        written = self._calls.write(file, data, offset)
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written: there is no room")

    def drop(self, needed: Sequence[bytes]) -> None:
        """Keep these frames, the newest, and drop the others. Keeps all while the newest are too many to be moved.

        They are copied over records that are safe elsewhere before the end is cut off: at no moment is one missing.
        """
        if not self.can_drop(sum(map(len, needed))):
            return
        if kept := b"".join(needed):
            self._write(self._file, kept, 0)
        self._calls.truncate(self._file, len(kept))
        self.size = len(kept)

    def can_drop(self, needed_bytes: int) -> bool:
        """Whether `drop` drops anything while so many bytes are needed."""
        return self.size > 0 and 2 * needed_bytes <= self.size and needed_bytes <= MOVED_BYTES

    def is_there(self) -> bool:
        """Return whether the next process would find this file."""
        return self._calls.is_at(self.path, self._file)

    def replace(self, needed: Sequence[bytes]) -> None:
        """Make the file anew, with these frames: it was removed. An error leaves everything as it was."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh, _ = self._opened()
        kept = b"".join(needed)
        try:
            self._calls.truncate(fresh, 0)
            self._write(fresh, kept, 0)
        except OSError:
            os.close(fresh)
            raise
        os.close(self._file)
        self._file, self.size = fresh, len(kept)

    def close(self) -> None:
        """Close the file; one that holds nothing leaves nothing behind."""
        if not self.size:
            self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1  # the number may be another file's at once
        if not self.size:
            with suppress(OSError):  # another file lies beside it
                self.path.parent.rmdir()


def memory_folders(folder: Path, memory: Path | None) -> list[Path]:
    """Return where the newest records of the journal in `folder` may lie, the wanted place first.

    Its name in `memory` is random, and kept in the journal's folder: pods that share `memory` do not share it.
    """
    beside = folder / "front"
    if memory is None or not is_folder(memory):
        return [beside]
    return [memory / f"batkol-{_identity(folder)}", beside]


def opened_memory(folders: Sequence[Path], calls: FileCalls | None = None) -> MemoryFile:
    """Open tier 1 in the first of these folders that can be had. Raises `OSError` if none can."""
    for folder in folders[:-1]:
        try:
            return MemoryFile(folder, calls)
        except OSError as error:
            log.error("[STORE] no room in memory for the newest records; they go straight to the disk", err=str(error))
    return MemoryFile(folders[-1], calls)


def identity_of(folder: Path) -> str:
    """Return the journal's random name; empty if it has none, or one that a crash left half written."""
    with suppress(FileNotFoundError):
        found = (folder / _ID_FILE).read_text(errors="replace").strip()
        return found if _ID.fullmatch(found) else ""
    return ""


def _identity(folder: Path) -> str:
    if found := identity_of(folder):
        return found
    made, fresh = os.urandom(8).hex(), (folder / _ID_FILE).with_suffix(".new")
    fresh.write_text(made)
    fresh.replace(folder / _ID_FILE)
    return made
