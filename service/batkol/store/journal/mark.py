"""The mark: what the journal's file must hold, written beside it.

A damaged write-ahead log takes back commits, and SQLite's own check finds nothing wrong. The mark shows the loss: it
has the number of the rows that must be there.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_FIELDS: Final = struct.Struct("<4sQQQQ")
_CHECKSUM: Final = struct.Struct("<I")
_VERSION: Final = b"BKM1"


class Position(NamedTuple):
    """Rows are counted from 1 without a gap, by `row`; records have their own numbers, which may skip some."""

    released: int = 0  # the number up to which Postgres has the records
    deleted: int = 0  # the row up to which rows have been deleted
    last: int = 0  # the newest row
    number: int = 0  # the number of the newest record

    @property
    def rows(self) -> int:
        """Expected number of rows."""
        return self.last - self.deleted

    @property
    def checksum(self) -> int:
        """Return the CRC-32 of it."""
        return zlib.crc32(_FIELDS.pack(_VERSION, *self))

    def waiting(self, released: int) -> int:
        """Highest number of rows that Postgres has not got."""
        return min(self.rows, max(0, self.number - released))


def is_sound(fields: Sequence[object]) -> bool:
    """Return whether these are a position and its checksum, of whatever types a damaged page gives."""
    numbers = [each for each in fields if isinstance(each, int) and 0 <= each < 1 << 63]
    return len(numbers) == len(fields) and Position(*numbers[:-1]).checksum == numbers[-1]


class MarkFile:
    """One small file, opened once and written in place. Its calls raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> Position | None:
        """Return what was written last; None if nothing was, or half of it."""
        return read(self._file)

    def write(self, position: Position) -> None:
        """Write the mark. Call this when the commit that it describes is on the disk, not before."""
        fields = _FIELDS.pack(_VERSION, *position)
        os.pwrite(self._file, fields + _CHECKSUM.pack(position.checksum), 0)

    def close(self) -> None:
        os.close(self._file)
        self._file = -1  # the number may be another file's at once


def read(file: int) -> Position | None:
    """Read the mark from an open file."""
    data = os.pread(file, _FIELDS.size + _CHECKSUM.size, 0)
    if len(data) < _FIELDS.size + _CHECKSUM.size:
        return None
    version, *fields = _FIELDS.unpack_from(data)
    (checksum,) = _CHECKSUM.unpack_from(data, _FIELDS.size)
    position = Position(*fields)
    return position if version == _VERSION and checksum == position.checksum else None
