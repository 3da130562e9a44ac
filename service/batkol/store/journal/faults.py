"""Faults of a file on a disk: the disk refuses, or the file is not what was written. Both are `OSError`."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CORRUPT: Final = frozenset({
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # a table or a column that we made is not there
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
})  # fmt: skip


class DiskError(OSError):
    """The disk refused: `code` is SQLite's. Nothing was changed."""

    def __init__(self, message: str, code: int = sqlite3.SQLITE_BUSY) -> None:
        super().__init__(message)
        self.is_full = code == sqlite3.SQLITE_FULL
        """The disk is full."""
        self.is_broken = code == sqlite3.SQLITE_IOERR
        """The device or the file system failed."""


class Damaged(OSError):  # noqa: N818  the file is, which is dealt with, and no error of a caller
    """The file lacks rows that it must have, or has others. The text names the finding."""


def is_full(error: OSError) -> bool:
    """Whether the disk has no room, by SQLite's or the system's error code."""
    return error.is_full if isinstance(error, DiskError) else error.errno in (errno.ENOSPC, errno.EDQUOT)


def advice(error: OSError) -> str:
    """Return the remedy for a journal that cannot be opened."""
    if is_full(error):
        return "free space on its disk"
    if (isinstance(error, DiskError) and error.is_broken) or error.errno == errno.EIO:
        return (
            "the device or its file system fails; start again when the device works, or move the journal to "
            "another disk"
        )
    return "name a folder that only this process may write to"


@contextmanager
def translated() -> Iterator[None]:
    """Raise what SQLite raises as `DiskError` or `Damaged`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT:
            raise Damaged(str(error)) from None
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise DiskError(f"{error} ({name})", code) from None
