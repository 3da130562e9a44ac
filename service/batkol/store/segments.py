"""The journal on disk: numbered records in a row of files, each named by the number of its first record.

Everything here blocks, and is called by the journal's one thread. Records are appended to the newest file, read in
order, and a file goes when all of its records have been released. What a crash left torn at the end is cut off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from batkol.store.framing import HEADER_BYTES, LONGEST, Frame, frames

SEGMENT_BYTES: Final = 4 << 20
"""Size from which a file is followed by the next one."""

SUFFIX: Final = ".journal"
_CHUNK: Final = HEADER_BYTES + LONGEST  # read at once: always at least one whole frame

log = structlog.get_logger()


@dataclass(slots=True)
class Segment:
    """One file; `last` is below `first` while it is empty."""

    path: Path
    first: int
    last: int
    size: int


class Segments:
    """All files of one folder. Raises `OSError` as the disk does; nothing is changed then."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        self._file = -1  # of the newest segment, for appending
        self._place = (0, 0, 0)  # where a reader goes on: the segment's first number, the number read, the offset
        self.unsynced = False
        self.size = 0
        """Bytes in all files; read by other threads too."""

    def open(self) -> None:
        """Find what is there, and cut off what a crash left torn."""
        self._segments = [_scanned(path) for path in sorted(self._folder.glob(f"*{SUFFIX}"))]
        for segment in [each for each in self._segments if each.last < each.first]:
            self._remove(segment)
        self.size = sum(segment.size for segment in self._segments)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def first(self) -> int:
        """The number of the oldest record; 0 if there is none."""
        return self._segments[0].first if self._segments else 0

    @property
    def last(self) -> int:
        """The number of the newest record; 0 if there is none."""
        return self._segments[-1].last if self._segments else 0

    def append(self, written: Sequence[bytes], first: int) -> None:
        """Add frames, numbered from `first` on, by one write."""
        segment = self._newest(first)
        data = b"".join(written)
        try:
            done = os.write(self._file, data)
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            os.ftruncate(self._file, segment.size)
            raise
        segment.size += len(data)
        segment.last = first + len(written) - 1
        self.size += len(data)
        self.unsynced = True

    def sync(self) -> None:
        """Have the newest file on the disk (the older ones are there since they were followed by the next)."""
        if self._file >= 0 and self.unsynced:
            os.fdatasync(self._file)
        self.unsynced = False

    def read(self, after: int, most: int) -> list[Frame]:
        """Return up to `most` records in order, beginning behind number `after`."""
        found: list[Frame] = []
        for segment in [each for each in self._segments if each.last > after]:
            after = self._read_from(segment, after, most, found)
            if len(found) >= most:
                break
        return found

    def _read_from(self, segment: Segment, after: int, most: int, found: list[Frame]) -> int:
        """Add what one file has; return the number up to which it is read."""
        offset = self._place[2] if self._place[:2] == (segment.first, after) else 0
        with segment.path.open("rb", buffering=0) as file:
            while len(found) < most and offset < segment.size:
                file.seek(offset)
                read = 0
                for each in frames(file.read(min(_CHUNK, segment.size - offset))):
                    read = each.end
                    if each.number > after:
                        found.append(each)
                        after = each.number
                        if len(found) >= most:
                            break
                if not read:  # the disk has let go what it once had
                    log.error("[STORE] a journal file is damaged: the rest of it is lost", bytes=segment.size - offset)
                    return segment.last
                offset += read
        self._place = (segment.first, after, offset)
        return after

    def release(self, up_to: int, *, newest_too: bool = False) -> None:
        """Remove the files of which every record is at or below `up_to`; with `newest_too`, the one written to also."""
        for segment in tuple(self._segments):
            if segment.last > up_to or (segment is self._segments[-1] and not newest_too):
                return
            if segment is self._segments[-1]:
                self.close()
                self.unsynced = False
            self._remove(segment)

    def _remove(self, segment: Segment) -> None:
        segment.path.unlink()
        self._segments.remove(segment)
        self.size -= segment.size

    def _newest(self, first: int) -> Segment:
        """Return the segment to append to, open; a full one is synced and followed by the next."""
        if self._file >= 0 and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1]
        self.sync()
        self.close()
        path = self._folder / f"{first:020}{SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        _sync_folder(self._folder)
        self._segments.append(Segment(path, first, first - 1, 0))
        return self._segments[-1]


def _scanned(path: Path) -> Segment:
    data = path.read_bytes()
    first = int(path.stem)
    last, end = first - 1, 0
    for each in frames(data):
        last, end = each.number, each.end
    if end < len(data):
        log.warning("[STORE] a journal file ends in a torn record, which is cut off", torn_bytes=len(data) - end)
        os.truncate(path, end)
    return Segment(path, first, last, end)


def _sync_folder(folder: Path) -> None:
    """Have a new file's name on the disk as well."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
