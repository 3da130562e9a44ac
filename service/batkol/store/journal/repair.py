"""A journal file that is damaged or was removed: read from it what can be read, and begin a new one with that.

SQLite finds rows by its tree; what it does not find is looked for in the bytes of the file and its log, where a record
proves itself. The new file takes the old one's place by one rename, so a crash in between loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from batkol.store.journal.file import PAGE_BYTES, WAL_BYTES, JournalFile, wal_of
from batkol.store.journal.framing import HEADER_BYTES, LONGEST, places, unframed

KEPT_BYTES: Final = 16 << 20
"""Size up to which a damaged file is set aside; a larger one goes, so that the disk has room for the journal."""

_WINDOW: Final = 1 << 20
_OVERLAP: Final = HEADER_BYTES + LONGEST


class Spot(NamedTuple):
    """Where a frame lies in a file."""

    path: Path
    start: int
    end: int


def spots(path: Path) -> Iterator[tuple[int, Spot]]:
    """Yield the numbers and the places of all frames in the bytes of a file, the newest version of one last."""
    if not path.exists():
        return
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for offset in range(0, size, _WINDOW):
            for each in places(_bytes_at(file.fileno(), offset, min(_WINDOW + _OVERLAP, size - offset))):
                if each.start < _WINDOW:
                    yield each.number, Spot(path, offset + each.start, offset + each.end)


def _bytes_at(file: int, offset: int, count: int) -> bytes:
    """Read; what the disk cannot give is zeros."""
    with suppress(OSError):
        return os.pread(file, count, offset)
    found = bytearray(count)
    for at in range(0, count, PAGE_BYTES):
        with suppress(OSError):
            part = os.pread(file, min(PAGE_BYTES, count - at), offset + at)
            found[at : at + len(part)] = part
    return bytes(found)


def frame_at(spot: Spot) -> bytes:
    """Read one frame's bytes."""
    with spot.path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), spot.end - spot.start, spot.start)


def finish(path: Path) -> None:
    """Finish what a crash interrupted: a new file that is whole takes its place, half of one goes. Raises `OSError`."""
    half, whole = _half(path), _whole(path)
    for each in (half, wal_of(half)):
        each.unlink(missing_ok=True)
    if whole.exists():
        _set_aside(path)
        whole.replace(path)
        _sync_folder(path.parent)


def build(path: Path, old: JournalFile | None, released: int, others: Mapping[int, bytes], *, is_damaged: bool) -> int:
    """Make a new file of every record above `released` that can be read; returns how many there are.

    `old` is the open file at `path`; `others` are frames from elsewhere. Raises `OSError`; nothing is changed then.
    """
    by_tree = set() if old is None else {number for number in old.readable() if number > released}
    by_bytes: dict[int, Spot] = {}
    if is_damaged:
        for each in (path, wal_of(path)):
            by_bytes.update({number: spot for number, spot in spots(each) if number > released})
    numbers = sorted(by_tree | by_bytes.keys() | {number for number in others if number > released})

    def found() -> Iterator[tuple[int, bytes]]:
        for number in numbers:
            data = old.frame_of(number) if old is not None and number in by_tree else None
            if data is None:
                data = frame_at(by_bytes[number]) if number in by_bytes else others.get(number, b"")
            if unframed(data, number) is not None:
                yield number, data

    rows = _built(_half(path), found(), released)
    _half(path).replace(_whole(path))
    return rows


def swap(path: Path, *, is_damaged: bool) -> Path | None:
    """Put the new file in place of the old one; returns where that is kept, if it is.

    Raises `OSError`; `finish` does the rest then.
    """
    aside = None
    if is_damaged:
        aside = _set_aside(path)
    else:
        _remove(path)
    _whole(path).replace(path)
    _sync_folder(path.parent)
    return aside


def _built(path: Path, frames: Iterator[tuple[int, bytes]], released: int) -> int:
    """Make a file of these frames, and have it on the disk; returns how many there were."""
    for each in (path, wal_of(path)):
        each.unlink(missing_ok=True)
    fresh = JournalFile(path)
    rows = 0
    try:
        for chunk in chunks(frames):
            fresh.add(chunk, released)
            fresh.checkpoint()
            rows += len(chunk)
        fresh.add((), released)
        fresh.checkpoint()
    finally:
        fresh.close()
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


def _set_aside(path: Path) -> Path | None:
    """Move the file and its log out of the way, over those set aside before. What is too large is removed."""
    aside = aside_of(path)
    if sum(each.stat().st_size for each in (path, wal_of(path)) if each.exists()) > KEPT_BYTES:
        _remove(path)
        return None
    for old, new in ((wal_of(path), wal_of(aside)), (path, aside)):
        with suppress(FileNotFoundError):
            old.replace(new)
    return aside if aside.exists() else None


def aside_of(path: Path) -> Path:
    """Return where a damaged journal file is set aside."""
    return path.with_name(path.name + ".damaged")


def remove_aside(path: Path, before: float) -> bool:
    """Remove the damaged file if it was written before that time (Unix seconds): retention, or an erasure."""
    files = [each for each in (aside_of(path), wal_of(aside_of(path))) if each.exists()]
    if not files or min(each.stat().st_mtime for each in files) >= before:
        return False
    for each in files:
        each.unlink(missing_ok=True)
    return True


def _remove(path: Path) -> None:
    for each in (wal_of(path), path):
        each.unlink(missing_ok=True)


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
