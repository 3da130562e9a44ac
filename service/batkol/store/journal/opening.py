"""Recovery at the start: the records that an earlier process left in memory and on the disk, and a journal of 0.1.0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from batkol.store.journal import legacy
from batkol.store.journal.disk import Disk
from batkol.store.journal.framing import frame, frames
from batkol.store.journal.newest import NewestRecords
from batkol.store.journal.tmpfs import NAME, FileCalls, MemoryFile, memory_folders, opened_memory

log = structlog.get_logger()


class Recovered(NamedTuple):
    """Both tiers, open. `fault` is the disk's error if it does not accept everything yet."""

    newest: NewestRecords
    released: int
    last: int
    fault: OSError | None


def opened(disk: Disk, folder: Path, memory: Path | None, calls: FileCalls | None) -> Recovered:
    """Open both tiers. Raises `OSError`, and nothing is held then."""
    try:
        disk.lock()
        folders = memory_folders(folder, memory)
        file = opened_memory(folders, calls)
        try:
            return _adopted(disk, file, folder, folders)
        except BaseException:
            file.close()
            raise
    except BaseException:
        disk.close()
        raise


def _adopted(disk: Disk, file: MemoryFile, folder: Path, folders: Sequence[Path]) -> Recovered:
    """Bring everything to the disk, if it takes it; else it stays where it is, and is brought there later."""
    strays = [path for each in folders if (path := each / NAME).is_file() and path != file.path]
    records = dict(file.leftover())
    for stray in strays:
        records.update(frames(stray.read_bytes()))
    framed = {number: frame(number, records[number]) for number in sorted(records)}
    released = disk.open(framed)
    newest = {number: data for number, data in framed.items() if number > max(disk.committed, released)}
    last = max(disk.committed, released, *newest)
    fault = None
    try:
        if newest:
            disk.commit(list(newest.items()), released)
        file.drop(())
        for stray in strays:
            stray.unlink()
        last = _imported(disk, folder, folders, released, last)
    except OSError as error:
        fault = error
    if last > released:
        log.info(
            "[STORE] records of an earlier run wait for the database", records=last - released, from_memory=len(newest)
        )
    left = {number: data for number, data in newest.items() if number > disk.committed}
    return Recovered(NewestRecords(file, left), released, last, fault)


def _imported(disk: Disk, folder: Path, folders: Sequence[Path], released: int, last: int) -> int:
    """Take over what 0.1.0 left; returns the newest number. Raises `OSError`; it is done at the next start then."""
    found = legacy.read(folder, folders)
    numbered = [(number, frame(number, each)) for number, each in enumerate(found.payloads, last + 1)]
    if numbered:
        disk.commit(numbered, released)
        last = numbered[-1][0]
        log.info("[STORE] journal of 0.1.0 imported", records=len(numbered))
    if found.lost:
        log.error("[STORE] journal of 0.1.0 is damaged; records are LOST", lost=found.lost)
        disk.count(found.lost)
    legacy.removed(found.files)
    return last
