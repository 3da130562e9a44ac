"""The newest records, in memory that outlives the process.

A subscriber may see a final at once; the disk may take its time. In between the record stands here: in a file of a
`tmpfs` (`/dev/shm`), where a write is a copy in memory that waits for no disk, and which is still there after
`kill -9` or a crash. What the disk has is dropped here. Where there is no `tmpfs`, the file lies beside the journal.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from batkol.store.framing import Frame, frames

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  where Linux mounts its tmpfs; the folder in it is ours alone
DROPPED_AT: Final = 64 << 10
"""Bytes from which what the disk has is dropped."""

log = structlog.get_logger()


class Front:
    """One file, which only this process has. `append` is called by the event loop, the rest before and after it."""

    def __init__(self, folder: Path) -> None:
        """Open it. Raises `OSError`: the folder is somebody else's, cannot be made, or is in use."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(f"{folder} is not this user's alone")
        self.path = folder / "front"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise
        self.size = os.fstat(self._file).st_size

    def left(self) -> list[Frame]:
        """Return what a process that did not end in good order left here."""
        return list(frames(self.path.read_bytes()))

    def append(self, data: bytes) -> None:
        """Add a frame. Raises `OSError` where there is no room, and leaves nothing of it."""
        try:
            written = os.write(self._file, data)
        except OSError:
            self.cut()
            raise
        if written < len(data):
            self.cut()
            raise OSError(f"only {written} of {len(data)} bytes found room")
        self.size += written

    def cut(self) -> None:
        """Take back a frame of which a part was written."""
        os.ftruncate(self._file, self.size)

    def drop(self) -> None:
        """Everything here is on the disk."""
        os.ftruncate(self._file, 0)
        self.size = 0

    def close(self) -> None:
        """Close it; one that holds nothing leaves nothing behind."""
        if not self.size:
            self.path.unlink(missing_ok=True)
        os.close(self._file)
        with suppress(OSError):  # somebody has put something beside it
            if not self.size:
                self.path.parent.rmdir()


def front_of(folder: Path, memory: Path | None) -> Front:
    """Open the front of the journal in `folder`: in `memory` where that is a folder, else beside the journal.

    Its name there is random, and kept in the journal's folder: pods that share `memory` do not share it.
    """
    if memory is None or not memory.is_dir():
        return Front(folder / "front")
    name = folder / "front-id"
    if not name.exists():
        name.write_text(os.urandom(8).hex())
    try:
        return Front(memory / f"batkol-{name.read_text().strip()}")
    except OSError as error:
        log.error("[STORE] no room in memory for the newest records; they go to the disk at once", err=str(error))
        return Front(folder / "front")
