"""A journal file that is damaged or was removed: read from it what can be read, and begin a new one with that.

SQLite finds rows by its tree; what it does not find is looked for in the bytes of the file and its log, where a record
proves itself. The new file takes the old one's place by one rename, so a crash in between loses nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from batkol.store.journal.aside import remove, set_aside
from batkol.store.journal.device import Device
from batkol.store.journal.faults import DiskError
from batkol.store.journal.file import WAL_BYTES, JournalFile, wal_of
from batkol.store.journal.framing import HEADER_BYTES, LONGEST, places, unframed

_WINDOW: Final = 1 << 20
_OVERLAP: Final = HEADER_BYTES + LONGEST


class FrameLocation(NamedTuple):
    """The place of a frame in a file."""

    path: Path
    start: int
    end: int


def spots(path: Path, device: Device) -> Iterator[tuple[int, FrameLocation]]:
    """Yield the numbers and the places of all frames in the bytes of a file, the newest version of one last.

    Raises `DiskError`: they cannot be read, and the device is not filling.
    """
    if not path.exists():
        return
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for offset in range(0, size, _WINDOW):
            for each in places(device.bytes_at(file.fileno(), offset, min(_WINDOW + _OVERLAP, size - offset))):
                if each.start < _WINDOW:
                    yield each.number, FrameLocation(path, offset + each.start, offset + each.end)


def frame_at(spot: FrameLocation, device: Device) -> bytes:
    """Read one frame's bytes. Raises `DiskError`, as `spots` does."""
    with spot.path.open("rb", buffering=0) as file:
        return device.bytes_at(file.fileno(), spot.start, spot.end - spot.start)


def finish(path: Path) -> None:
    """Finish what a crash interrupted: a new file that is whole takes its place, half of one goes. Raises `OSError`."""
    half, whole = _half(path), _whole(path)
    for each in (half, wal_of(half)):
        each.unlink(missing_ok=True)
    if whole.exists():
        set_aside(path)
        whole.replace(path)
        _sync_folder(path.parent)


def build(
    path: Path, old: JournalFile | None, released: int, others: Mapping[int, bytes], device: Device | None
) -> int:
    """Make a new file of every record above `released` that can be read; returns how many there are.

    `old` is the open file at `path`; `others` are frames from elsewhere; `device` gives the bytes of a file that is
    damaged. Raises `OSError`; nothing is changed then.
    """
    by_tree = set() if old is None else {number for number in old.readable() if number > released}
    by_bytes: dict[int, FrameLocation] = {}
    if device is not None:
        for each in (path, wal_of(path)):
            by_bytes.update({number: spot for number, spot in spots(each, device) if number > released})
    numbers = sorted(by_tree | by_bytes.keys() | {number for number in others if number > released})

    def frame_of(number: int) -> bytes:
        if old is not None and number in by_tree and (data := old.frame_of(number)) is not None:
            return data
        if device is not None and number in by_bytes:
            return frame_at(by_bytes[number], device)
        if number in by_tree and number not in others and not (device is not None and device.is_filling):
            raise DiskError("a record that was readable before is not readable now", sqlite3.SQLITE_IOERR)
        return others.get(number, b"")

    framed = ((number, frame_of(number)) for number in numbers)
    found = ((number, data) for number, data in framed if unframed(data, number) is not None)
    rows = _built(_half(path), found, released)
    _half(path).replace(_whole(path))
    return rows


def swap(path: Path, *, is_damaged: bool) -> Path | None:
    """Put the new file in place of the old one; returns where that is kept, if it is.

    Raises `OSError`; `finish` does the rest then.
    """
    aside = None
    if is_damaged:
        aside = set_aside(path)
    else:
        remove(path)
    _whole(path).replace(path)
    _sync_folder(path.parent)
    return aside


def _built(path: Path, frames: Iterator[tuple[int, bytes]], released: int) -> int:
    """Make a file of these frames, and have it on the disk; returns how many there were."""
    remove(path)
    try:
        fresh = JournalFile(path)
        try:
            rows = _filled(fresh, frames, released)
        finally:
            fresh.close()
    except OSError:
        remove(path)  # for the room that it takes
        raise
    return rows


def _filled(fresh: JournalFile, frames: Iterator[tuple[int, bytes]], released: int) -> int:
    rows = 0
    for chunk in chunks(frames):
        fresh.add(chunk, released)
        fresh.checkpoint()
        rows += len(chunk)
    fresh.add((), released)
    fresh.checkpoint()
    return rows


def chunks(frames: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Divide frames into what one transaction may write."""
    chunk: list[tuple[int, bytes]] = []
    size = 0
    for each in frames:
        if chunk and size + len(each[1]) > WAL_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += len(each[1])
    if chunk:
        yield chunk


def _half(path: Path) -> Path:
    return path.with_name(path.name + ".half")


def _whole(path: Path) -> Path:
    return path.with_name(path.name + ".whole")


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk as well."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
