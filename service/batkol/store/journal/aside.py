"""Damaged journal files, set aside: for some days, or until a number is erased.

Of a file whose bytes were all read, everything is delivered, and the next one takes its place. One that could not be
read is perhaps whole: it is kept whatever its size, under a number of its own, and nothing takes its place.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from batkol.store.journal.device import UNREADABLE
from batkol.store.journal.faults import DiskError
from batkol.store.journal.file import wal_of

KEPT_BYTES: Final = 16 << 20
"""Size up to which a damaged file is set aside; a larger one goes, so that the disk has room for the journal."""

MOST_UNREAD: Final = 4
"""Files that are kept because they could not be read. There is no repair that would make one more."""


def set_aside(path: Path) -> Path | None:
    """Move the file and its log out of the way; returns where to, or None where it is removed. Raises `OSError`."""
    if (path.parent / UNREADABLE).exists():
        aside = place_of_unread(path)
    elif sum(each.stat().st_size for each in (path, wal_of(path)) if each.exists()) > KEPT_BYTES:
        remove(path)
        return None
    else:
        aside = aside_of(path)
    for old, new in ((wal_of(path), wal_of(aside)), (path, aside)):
        with suppress(FileNotFoundError):
            old.replace(new)
    return aside if aside.exists() else None


def aside_of(path: Path) -> Path:
    """Return where a damaged journal file of which all bytes were read is set aside."""
    return path.with_name(path.name + ".damaged")


def place_of_unread(path: Path) -> Path:
    """Return where one that could not be read is set aside. Raises `DiskError`: there are too many."""
    for each in _places_of_unread(path):
        if not each.exists() and not (wal_of(each).exists() and wal_of(path).exists()):  # a crash left half of the move
            return each
    raise DiskError(f"{MOST_UNREAD} journal files that could not be read are kept already ({aside_of(path).name}.1 …)")


def asides(path: Path) -> list[Path]:
    """Return the files that are set aside, or whose log is."""
    places = (aside_of(path), *_places_of_unread(path))
    return [each for each in places if each.exists() or wal_of(each).exists()]


def _places_of_unread(path: Path) -> list[Path]:
    return [path.with_name(f"{aside_of(path).name}.{number}") for number in range(1, MOST_UNREAD + 1)]


def remove_aside(path: Path, before: float) -> bool:
    """Remove what was set aside and was written before that time (Unix seconds): retention, or an erasure."""
    old = [each for each in asides(path) if _written_at(each) < before]
    for each in old:
        remove(each)
    return bool(old)


def remove_read(path: Path) -> bool:
    """Remove the one of which all bytes were read, for the room that it takes; false if there is none."""
    aside = aside_of(path)
    is_there = aside.exists()
    remove(aside)
    return is_there


def _written_at(path: Path) -> float:
    return min(each.stat().st_mtime for each in (path, wal_of(path)) if each.exists())


def remove(path: Path) -> None:
    """Remove a file and its log."""
    for each in (wal_of(path), path):
        each.unlink(missing_ok=True)
