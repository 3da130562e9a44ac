"""Tier 2: one SQLite file, one connection, one thread.

What SQLite does not see is seen here: a row has a count without a gap (`seq`), and its record proves itself
(`framing`). SQLite drops the end of a write-ahead log from the first damaged byte on, and reports no error.

Everything here blocks, and raises the errors of `faults`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from batkol.quantity import quantity
from batkol.store.journal.faults import Damaged, DiskError, translated
from batkol.store.journal.framing import Frame, unframed
from batkol.store.journal.mark import Position, is_sound

PAGE_BYTES: Final = 16 << 10
"""A record of less lies in one page in one piece, so it can be read from a damaged file without SQLite."""

WAL_BYTES: Final = 1 << 20
"""Size from which the write-ahead log is moved into the file; also what one transaction writes at most, about."""

DELETED_ROWS: Final = 1000
"""Rows that one transaction deletes at most."""

_EMPTY_PAGES: Final = 4  # the header, the map of pages, and a root for each table
_ROW_BYTES: Final = 24  # of a row beside its record, at most

_LOCK: Final = "locking_mode = EXCLUSIVE"  # before WAL: a second process is refused, and there is no shared memory
_PRAGMAS_OF_A_NEW_FILE: Final = (f"page_size = {PAGE_BYTES}", "auto_vacuum = INCREMENTAL", "journal_mode = WAL")
_PRAGMAS: Final = (
    "synchronous = FULL",
    "secure_delete = ON",
    "wal_autocheckpoint = 0",
    "temp_store = MEMORY",  # no other file is opened while we run
    "cache_size = -2000",
)
_TABLES: Final = (
    "CREATE TABLE records (number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, frame BLOB NOT NULL)",
    """CREATE TABLE position (id INTEGER PRIMARY KEY CHECK (id = 0), released INTEGER NOT NULL,
    deleted INTEGER NOT NULL, last INTEGER NOT NULL, number INTEGER NOT NULL,
    checksum INTEGER NOT NULL)""",
)
_UPDATE: Final = "INSERT OR REPLACE INTO position VALUES (0, ?, ?, ?, ?, ?)"

log = structlog.get_logger()


def wal_of(path: Path) -> Path:
    """Return where SQLite keeps the write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


class JournalFile:
    """One file with its write-ahead log. `rows`, `size` and `wal_bytes` may be read by other threads."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises `DiskError`, `Damaged`."""
        self.path = path
        is_new = not _size_of(path)
        if is_new and _size_of(wal_of(path)):
            raise Damaged("the file is missing and its log exists, which SQLite would delete")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would let others read it
        self.position = Position()
        self.has_more = False
        """Whether more rows may be deleted than the last commit did."""
        self.wal_bytes = 0
        self._used_bytes = 0
        self._record_bytes = 0
        self._place = (0, 0)  # number and seq of the row that was read last
        with translated():
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.0)
            self._connection.text_factory = bytes  # there is no text, except where a page is damaged
            try:
                self._prepare(is_new=is_new)
            except BaseException:
                self._connection.close()
                raise
        self._identity = self._found()

    def _prepare(self, *, is_new: bool) -> None:
        """Make the tables in a new file. One that is not new is not written to before it has been verified."""
        for pragma in (_LOCK, *(_PRAGMAS_OF_A_NEW_FILE if is_new else ()), *_PRAGMAS):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        if is_new:
            with self._transaction():
                for statement in _TABLES:
                    self._connection.execute(statement)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        row = self._connection.execute("SELECT released, deleted, last, number, checksum FROM position").fetchone()
        if row is not None:
            if not is_sound(row):
                raise Damaged("its position differs from the position that was written")
            self.position = Position(*row[:-1])
        self._measure()

    @property
    def rows(self) -> int:
        """Expected number of rows."""
        return self.position.rows

    @property
    def size(self) -> int:
        """Bytes that the rows take."""
        return max(self._used_bytes, self._record_bytes)

    def verify(self, expected: Position) -> None:
        """Read every row, and compare with what there must be. Raises `Damaged`, `DiskError`."""
        if expected.last > self.position.last:
            gone = expected.last - self.position.last
            which = quantity(gone, "row that was committed is", "rows that were committed are")
            raise Damaged(f"{which} gone from its end")
        with translated():
            self._connection.execute("PRAGMA shrink_memory").fetchall()  # what the disk has, not what was read before
            self._record_bytes = 0
            seq = self.position.deleted
            for number, found, data in self._connection.execute("SELECT number, seq, frame FROM records ORDER BY 1"):
                _checked(number, found, data, seq + 1)
                seq = found
                self._record_bytes += len(data) + _ROW_BYTES
        if seq != self.position.last:
            raise Damaged(f"{quantity(self.position.last - seq, 'row is', 'rows are')} gone from its end")

    def add(self, frames: Sequence[tuple[int, bytes]], released: int) -> None:
        """Commit these frames, behind all others; delete some of what was released. Raises `DiskError`, `Damaged`."""
        before = self.position
        rows = [(number, seq, data) for seq, (number, data) in enumerate(frames, before.last + 1)]
        with translated(), self._transaction():
            self._connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
            count, deleted, deleted_bytes = self._delete(released)
            position = Position(
                max(released, before.released),
                max(deleted, before.deleted),
                before.last + len(rows),
                max(before.number, released, frames[-1][0] if frames else 0),
            )
            self._connection.execute(_UPDATE, (*position, position.checksum))
        self.position, self.has_more = position, count == DELETED_ROWS
        self._record_bytes += sum(len(data) + _ROW_BYTES for _, data in frames) - deleted_bytes
        self._measure()

    def _delete(self, released: int) -> tuple[int, int, int]:
        """Delete the oldest rows of those released; return how many, the last of them, and their bytes."""
        count, number, seq, size = self._connection.execute(
            "SELECT count(*), max(number), max(seq), sum(length(frame) + ?) FROM"
            " (SELECT number, seq, frame FROM records WHERE number <= ? ORDER BY number LIMIT ?)",
            (_ROW_BYTES, released, DELETED_ROWS),
        ).fetchone()
        if not count:
            return 0, 0, 0
        self._connection.execute("DELETE FROM records WHERE number <= ?", (number,))
        return count, seq, size

    def has_released(self, released: int) -> bool:
        """Return whether there are rows that may be deleted. Raises `DiskError`, `Damaged`."""
        if not self.rows:
            return False
        with translated():
            query = "SELECT EXISTS (SELECT 1 FROM records WHERE number <= ?)"
            return bool(self._connection.execute(query, (released,)).fetchone()[0])

    def read(self, after: int, up_to: int, most: int) -> list[Frame]:
        """Return up to `most` records of these numbers, in order. Raises `DiskError`, `Damaged`."""
        query = "SELECT number, seq, frame FROM records WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
        with translated():
            rows = self._connection.execute(query, (after, up_to, most)).fetchall()
        seq = self._place[1] + 1 if self._place[0] == after else None
        found = []
        for number, each, data in rows:
            found.append(_checked(number, each, data, seq))
            seq = each + 1
        if rows:
            self._place = rows[-1][:2]
        elif self.rows and self.position.number > after:
            raise Damaged("committed rows are missing")
        return found

    def readable(self) -> list[int]:
        """Return the numbers of the rows that SQLite still finds, from both ends, and that prove themselves."""
        found: set[int] = set()
        for order in ("ASC", "DESC"):
            with suppress(sqlite3.Error):
                query = f"SELECT number, frame FROM records ORDER BY number {order}"  # noqa: S608  a constant of this module
                for number, data in self._connection.execute(query):
                    if isinstance(data, bytes) and unframed(data, number) is not None:
                        found.add(number)
        return sorted(found)

    def frame_of(self, number: int) -> bytes | None:
        """Return one frame, or None if SQLite does not find it."""
        with suppress(sqlite3.Error):
            row = self._connection.execute("SELECT frame FROM records WHERE number = ?", (number,)).fetchone()
            return row[0] if row is not None and isinstance(row[0], bytes) else None
        return None

    def checkpoint(self, *, vacuum: bool = False) -> None:
        """Move the log into the file, and leave nothing in it; with `vacuum`, give free pages back to the disk."""
        with translated():
            if vacuum:
                self._connection.executescript("PRAGMA incremental_vacuum")  # `execute` frees one page and stops
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise DiskError("the write-ahead log could not be moved into the file")
        self._measure()

    def is_there(self) -> bool:
        """Return whether the next process would find this file and its log."""
        return self._found() == self._identity

    def _found(self) -> tuple[tuple[int, int] | None, ...]:
        return _file_of(self.path), _file_of(wal_of(self.path))

    def close(self) -> None:
        """Close the file; SQLite moves the log into the file, where it can, and removes it. Raises nothing."""
        try:
            self._connection.close()
        except sqlite3.ProgrammingError:  # a defect of this module
            raise
        except sqlite3.Error:
            log.warning(
                "[STORE] journal's write-ahead log stays beside it; the next start reads it", file=self.path.name
            )

    def _measure(self) -> None:
        with translated():
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        self._used_bytes = max(0, pages - free - _EMPTY_PAGES) * PAGE_BYTES
        with suppress(OSError):
            self.wal_bytes = wal_of(self.path).stat().st_size

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:  # an error kept the last one from being taken back
            self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends it by itself
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise


def _checked(number: int, seq: object, data: object, expected: int | None) -> Frame:
    """Return the record of a row. A damaged page gives values of any type. Raises `Damaged`."""
    if not isinstance(seq, int) or (expected is not None and seq != expected):
        raise Damaged(f"row {expected} is missing")
    found = unframed(data, number) if isinstance(data, bytes) else None
    if found is None:
        raise Damaged("a row differs from the row that was written")
    return found


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _file_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
