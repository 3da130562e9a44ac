"""Damaged journal files, set aside: for some days, or until a number is erased.

Of a file whose bytes were all read, everything is delivered, and the next one takes its place. One that could not be
read is perhaps whole: it is kept under a number of its own, whatever its size, as long as it and the journal together
have room within the journal's limit. A volume that outgrows its own limit takes the whole pod with it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from batkol.store.journal.device import UNREADABLE
from batkol.store.journal.file import wal_of

KEPT_BYTES: Final = 16 << 20
"""Size up to which a damaged file is set aside; a larger one goes, so that the disk has room for the journal."""

MOST_UNREAD: Final = 4
"""Files that are kept because they could not be read. The oldest goes for one more."""

log = structlog.get_logger()


def set_aside(path: Path) -> Path | None:
    """Move the file and its log out of the way; returns where to, or None where it is removed. Raises `OSError`."""
    if (path.parent / UNREADABLE).exists():
        aside = place_of_unread(path)
    elif _bytes(path) > KEPT_BYTES:
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
    """Return where one that could not be read is set aside; the oldest of too many goes for it. Raises `OSError`."""
    for each in _places_of_unread(path):
        if not each.exists() and not (wal_of(each).exists() and wal_of(path).exists()):  # a crash left half of the move
            return each
    oldest = min(_places_of_unread(path), key=_written_at)
    _remove_unread(oldest, why=f"the service keeps at most {MOST_UNREAD} such files")
    return oldest


def keep_within(path: Path, most_bytes: int) -> None:
    """Remove files that could not be read, the oldest first, until they and the journal have `most_bytes` together.

    Raises nothing: what cannot be removed now is tried again at the next call.
    """
    try:
        unread = sorted((each for each in _places_of_unread(path) if each.exists()), key=_written_at)
        size = _bytes(path) + sum(map(_bytes, unread))
        for each in unread:
            if size <= most_bytes:
                return
            size -= _bytes(each)
            _remove_unread(each, why="the journal needs its room (JOURNAL_MAX_MB)")
    except OSError as error:
        log.error("[STORE] a journal file that was set aside cannot be removed; the volume may fill up", err=str(error))


def _remove_unread(path: Path, *, why: str) -> None:
    remove(path)
    log.error(
        "[STORE] a journal file that could not be read is removed; its records were counted as LOST when it was set "
        "aside, and cannot be had from it any more",
        file=str(path),
        why=why,
    )


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


def _bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in (path, wal_of(path)) if each.exists())


def _written_at(path: Path) -> float:
    return min(each.stat().st_mtime for each in (path, wal_of(path)) if each.exists())


def remove(path: Path) -> None:
    """Remove a file and its log."""
    for each in (wal_of(path), path):
        each.unlink(missing_ok=True)
