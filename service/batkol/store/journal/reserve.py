"""Reserved room on the disk: SQLite needs room even to delete, and a full disk must not keep delivered records."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog

from batkol.store.journal.faults import is_full

RESERVE_BYTES: Final = 4 << 20
"""The write-ahead log (1 MiB, and one transaction), and as much growth of the file when it is moved there."""

log = structlog.get_logger()

T = TypeVar("T")


class Reserve:
    """One file of zeros, opened once."""

    def __init__(self, path: Path) -> None:
        """Open the file, and take the room if there is any. Raises `OSError`: it cannot be opened."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.is_held = False
        self.claim()
        if not self.is_held:
            log.warning("[STORE] journal's disk is full; no room can be reserved", bytes=RESERVE_BYTES)

    def claim(self) -> None:
        """Take the room, or leave it to others until there is some."""
        if self.is_held:
            return
        try:
            os.posix_fallocate(self._file, 0, RESERVE_BYTES)
        except OSError:
            os.ftruncate(self._file, 0)
        else:
            self.is_held = True

    def give(self) -> bool:
        """Free the room for what must be written now; false if there was none."""
        was_held = self.is_held
        os.ftruncate(self._file, 0)
        self.is_held = False
        return was_held

    def lend(self, work: Callable[[], T]) -> T:
        """Call `work`, and once more in the reserved room if the disk is full. Raises the errors of `work`.

        The room stays free where that was done: `take` it when it can be had.
        """
        try:
            return work()
        except OSError as error:
            if not is_full(error) or not self.give():
                raise
        try:
            return work()
        except OSError:
            self.claim()
            raise

    def close(self) -> None:
        os.close(self._file)
        self._file = -1  # the number may be another file's at once
