"""The disk's side of the journal: everything that blocks, for the journal's one thread.

It has the folder alone, keeps the file and its mark, makes room on a full disk, and repairs a file that is damaged or
was removed. Faults of the disk are `OSError`; records that cannot be read are counted and logged, once each.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog

from batkol.store.journal.aside import keep_within, remove_read
from batkol.store.journal.device import Device, ReadAt, locked
from batkol.store.journal.faults import Damaged, DiskError
from batkol.store.journal.file import WAL_BYTES, JournalFile, wal_of
from batkol.store.journal.framing import Frame
from batkol.store.journal.mark import MarkFile, Position
from batkol.store.journal.repair import build, chunks, finish, swap
from batkol.store.journal.reserve import Reserve

FILE: Final = "journal.sqlite"
LOCK: Final = "lock"
MARK: Final = "mark"
RESERVE: Final = "reserve"

TIDY_S: Final = 5.0
"""Seconds after which a log of which everything was delivered is emptied, though records go on coming."""

TRIES: Final = 3
"""Failures in a row after which the file is opened anew, or, if it cannot be read, taken for damaged."""

log = structlog.get_logger()

T = TypeVar("T")


class Disk:
    """One per journal, of which `most_bytes` wait at most. The attributes are read by the event loop too."""

    def __init__(self, folder: Path, read: ReadAt = os.pread, *, most_bytes: int = sys.maxsize) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._most_bytes = most_bytes
        self._device = Device(folder, read)
        self._held = ExitStack()
        self._file: JournalFile | None = None
        self._is_verified = False
        self._is_closed = False
        self._position = Position()  # of the file, at the last look
        self._failed = 0  # commits in a row
        self._failed_reads = 0
        self._emptied_at = time.monotonic()
        self.committed = 0
        """The number up to which records are in the file, or were."""
        self.released = 0
        """The number up to which the file knows that Postgres has them."""
        self.rows = 0
        """Rows in the file."""
        self.size = 0
        """Bytes that they take."""
        self.has_more = False
        """Whether there are more rows to delete than the last commit did."""
        self.is_clean = True
        """Whether no record is left in the file and its log."""
        self.lost = 0
        """Records that were committed and cannot be read any more, since the start."""
        self.damaged = 0
        """Files that were found damaged, or removed, since the start."""
        self.sync_ms = 0.0
        """Duration of the slowest commit."""

    def lock(self) -> None:
        """Have the folder alone. Raises `OSError`: another process has it, or it cannot be made."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held.callback(os.close, locked(self._folder / LOCK))

    def open(self, newest: Mapping[int, bytes]) -> int:
        """Open the file, and repair it where that is needed; `newest` are the frames of tier 1.

        Returns the number up to which Postgres has the records. Raises `OSError`.
        """
        self._mark = MarkFile(self._folder / MARK)
        self._held.callback(self._mark.close)
        self._reserve = Reserve(self._folder / RESERVE)
        self._held.callback(self._reserve.close)
        finish(self._path)
        expected = self._mark.read() or Position()
        try:
            self._file = JournalFile(self._path)
            self._file.verify(expected)
            self._is_verified = True
        except (Damaged, DiskError) as error:
            if isinstance(error, DiskError) and not error.is_broken:
                raise
            self._mend(str(error), expected, newest)
        self._device.works()
        self.committed = self._opened().position.number
        self._look()
        return max(expected.released, self.released)

    def commit(self, frames: Sequence[tuple[int, bytes]], released: int) -> None:
        """Commit these frames, and forget what was released. Raises `OSError`; part of it may be done then."""
        try:
            self._commit(frames, released)
        except OSError:
            self._failed += 1
            if self._failed % TRIES == 0 and self._file is not None:
                self._file.close()
                self._file = None  # and the next access opens it anew
            raise
        finally:
            self._look()
        self._failed = 0

    def _commit(self, frames: Sequence[tuple[int, bytes]], released: int) -> None:
        self._retried(lambda _: self._notice_removal(released), released)
        behind = [each for each in frames if each[0] > self.committed]
        for chunk in list(chunks(behind)) or [[]]:
            self._retried(partial(self._add, frames=chunk, released=released), released)
        file = self._opened()
        if not file.rows and file.wal_bytes and time.monotonic() - self._emptied_at >= TIDY_S:
            self._empty(file)

    def _add(self, file: JournalFile, frames: Sequence[tuple[int, bytes]], released: int) -> None:
        begun = time.perf_counter()
        frames = [each for each in frames if each[0] > file.position.number]  # a repair may have found them
        try:
            file.add(frames, released)
        except DiskError as error:
            if not error.is_full:
                raise
            self._make_room(file, released)
            file.add(frames, released)
        self.size, self.rows = file.size, file.rows  # before the number, by which the loop forgets them in memory
        self.committed = file.position.number
        self.sync_ms = max(self.sync_ms, (time.perf_counter() - begun) * 1000)
        if file.wal_bytes > WAL_BYTES:
            self._empty(file)

    def _make_room(self, file: JournalFile, released: int) -> None:
        """Delete what was released from a full disk, in the room that is kept for that."""
        self._reserve.give()
        try:
            file.checkpoint()
            while file.has_released(released):
                file.add((), released)
                file.checkpoint(vacuum=True)
        finally:
            self._reserve.claim()

    def _empty(self, file: JournalFile, *, vacuum: bool = False) -> None:
        """Leave nothing in the log."""
        file.checkpoint(vacuum=vacuum)
        self._reserve.claim()
        self._emptied_at = time.monotonic()

    def read(self, after: int, up_to: int, most: int) -> list[Frame]:
        """Return up to `most` records of these numbers, in order. Raises `OSError`."""
        try:
            found = self._retried(lambda file: file.read(after, up_to, most), after)
        except OSError as error:
            self._failed_reads += 1
            if self._failed_reads < TRIES:
                raise
            self._mend(str(error), self._position, {}, after)
            found = self._opened().read(after, up_to, most)
        finally:
            self._look()
        self._failed_reads = 0
        self._device.works()
        return found

    def tidy(self, released: int) -> None:
        """Leave nothing of what was released in the file, its log, or on the disk. Raises `OSError`."""
        self.commit((), released)
        while self.has_more:
            self.commit((), released)
        self._retried(partial(self._empty, vacuum=True), released)
        self._look()

    def watch(self, released: int) -> None:
        """Make the file anew if it was removed. Raises `OSError`."""
        self._retried(lambda _: self._notice_removal(released), released)
        self._look()

    def _retried(self, work: Callable[[JournalFile], T], released: int) -> T:
        """Call `work`, and once more with a repaired file if this one is damaged."""
        try:
            return work(self._opened())
        except Damaged as error:
            self._mend(str(error), self._position, {}, released)
            return work(self._opened())

    def _notice_removal(self, released: int) -> None:
        file = self._opened()
        if file.is_there():
            return
        rows = self._reserve.lend(partial(build, self._path, file, released, {}, None))
        lost = max(0, file.position.waiting(released) - rows)
        self.count(lost)
        log.error("[STORE] journal file was removed while in use; the service makes a new one", rows=rows, lost=lost)
        self._replace(is_damaged=False)

    def _mend(self, why: str, expected: Position, others: Mapping[int, bytes], released: int = 0) -> None:
        """Repair the file if it is damaged. Raises `OSError` if the device does not give the file's bytes."""
        self._device.check((self._path, wal_of(self._path)))
        if not self._device.is_filling and self._is_whole(expected):
            return
        self._repair(why, expected, others, released)

    def _is_whole(self, expected: Position) -> bool:
        """Whether it was the device for a moment, and the file is what was written."""
        try:
            self._opened().verify(expected)
        except OSError:
            return False
        return True

    def _repair(self, why: str, expected: Position, others: Mapping[int, bytes], released: int) -> None:
        """Put a new file in place of the damaged one, and count what could not be read. Raises `OSError`."""
        old = self._file
        position = max(expected, old.position, key=lambda each: each.last) if old else expected
        released = max(released, position.released)
        rows = self._reserve.lend(partial(build, self._path, old, released, others, self._device))
        lost = max(0, position.waiting(released) - rows)
        self.count(lost)
        log.error(
            "[STORE] journal file is damaged; readable records are delivered, the others are LOST",
            why=why, lost=lost, read=rows,
        )  # fmt: skip
        self._replace(is_damaged=True)

    def count(self, lost: int) -> None:
        """A file was damaged, and lost so many records."""
        self.damaged += 1
        self.lost += lost

    def _replace(self, *, is_damaged: bool) -> None:
        """Put the new file in the old one's place, and open it."""
        try:
            aside = swap(self._path, is_damaged=is_damaged)
        finally:  # only now: SQLite leaves a file that was moved as it is, and would write to this one
            if self._file is not None:
                self._file.close()
                self._file = None
        self._reserve.claim()
        if aside is not None and not self._reserve.is_held and remove_read(self._path):
            log.warning("[STORE] damaged journal file removed: the disk is full")
            self._reserve.claim()
        elif aside is not None:
            log.warning("[STORE] damaged journal file kept for 7 days", file=str(aside))
        self._opened()
        self._device.works()
        self._look()  # what was lost is counted once

    def _opened(self) -> JournalFile:
        """Return the file; open it, and finish what was begun, where an error has left it closed.

        One that is not whole stays open until it is repaired: by closing it SQLite would delete its log.
        """
        if self._is_closed:
            raise OSError("the journal is closed")
        if self._file is None:
            finish(self._path)
            self._file, self._is_verified = JournalFile(self._path), False
        if not self._is_verified:
            self._file.verify(Position())
            self._is_verified = True
        return self._file

    def _look(self) -> None:
        """Report the file's state to the event loop and to the mark. After an error a loss may go unnoticed."""
        file = self._file
        if file is None:
            return
        self._position, self.released, self.rows = file.position, file.position.released, file.rows
        self.size, self.has_more = file.size, file.has_more
        self.is_clean = not file.rows and not file.wal_bytes
        keep_within(self._path, self._most_bytes)
        try:
            self._mark.write(file.position)
        except OSError as error:
            log.error("[STORE] journal mark cannot be written; a loss might go unnoticed", err=str(error))

    def close(self) -> None:
        """Close all files; later calls are refused. Raises nothing."""
        self._is_closed = True
        if self._file is not None:
            self._file.close()
            self._file = None
        self._held.close()
