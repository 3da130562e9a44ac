"""Journals on disk, for tests of what happens to them."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from batkol.store.journal.disk import Disk
from batkol.store.journal.framing import frame


def payload(number: int) -> bytes:
    return b"record %d " % number + bytes(600)


def framed(numbers: Iterable[int]) -> list[tuple[int, bytes]]:
    return [(number, frame(number, payload(number))) for number in numbers]


def opened(folder: Path) -> Disk:
    disk = Disk(folder)
    disk.lock()
    disk.open({})
    return disk


def numbers(disk: Disk, after: int = 0) -> list[int]:
    """Read everything, and see that it is what was written."""
    found = disk.read(after, disk.committed, 1_000_000)
    assert [each.payload for each in found] == [payload(each.number) for each in found]
    return [each.number for each in found]


def killed(folder: Path, copy: Path) -> Path:
    """Copy the files as a kill at this moment would leave them."""
    shutil.copytree(folder, copy)
    return copy
