"""Reader of a 0.1.0 journal; nothing here writes one. To be deleted with the release after 0.2.0.

0.1.0 kept numbered records in files named by the number of their first record (`00000000000000000001.journal`), the
released number in `released`, and the newest records in `front/front` or in `front` in a folder of a tmpfs.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog

_HEADER: Final = struct.Struct("<IIQ")  # length of the payload, CRC-32 of what follows it, number
_NUMBER: Final = struct.Struct("<Q")
_LONGEST: Final = 1 << 20
_SEGMENT: Final = re.compile(r"[0-9]{20}\.journal")
_LOOKED_FOR: Final = 1000
"""Numbers that are looked for behind a damaged record."""

log = structlog.get_logger()


class Legacy(NamedTuple):
    """A journal of 0.1.0. `lost` counts the records that must have been there, and cannot be read."""

    payloads: list[bytes]
    lost: int
    files: list[Path]


def removed(files: Sequence[Path]) -> None:
    """Remove what was imported. Raises `OSError`."""
    for path in files:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # it is the journal's own folder, or has other files in it
            path.parent.rmdir()


def read(folder: Path, memory_folders: Sequence[Path]) -> Legacy:
    """Read what has not been released. Raises `OSError`."""
    found = sorted(folder.glob("*.journal"))
    for stray in [path for path in found if not _SEGMENT.fullmatch(path.name)]:
        log.warning("[STORE] file in JOURNAL_DIR is not a journal; the service ignores it", file=stray.name)
    segments = [path for path in found if _SEGMENT.fullmatch(path.name) and path.is_file()]
    fronts = [path for path in (each / "front" for each in memory_folders) if path.is_file()]
    mark = folder / "released"
    released = _released(mark.read_bytes()) if mark.is_file() else 0
    records: dict[int, bytes] = {}
    for path in segments:
        records.update(_records(path.read_bytes(), int(path.stem) - 1))
    for path in fronts:
        records.update(_records(path.read_bytes(), None))
    waiting = sorted(number for number in records if number > released)
    lost = _missing(waiting, max(released, int(segments[0].stem) - 1 if segments else 0))
    files = [*segments, *fronts, *([mark] if mark.is_file() else [])]
    return Legacy([records[number] for number in waiting], lost, files)


def _missing(numbers: Sequence[int], before: int) -> int:
    """Count the numbers that are not there. Those in memory alone follow those on the disk, so all are in a row."""
    return numbers[-1] - before - len(numbers) if numbers else 0


def _records(data: bytes, last: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield numbers and payloads; behind a damaged record, look for one of the numbers that follow `last`."""
    at = 0
    while 0 <= at <= len(data) - _HEADER.size:
        length, checksum, number = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        payload = data[at + _HEADER.size : end]
        if (
            length <= _LONGEST
            and end <= len(data)
            and zlib.crc32(payload, zlib.crc32(_NUMBER.pack(number))) == checksum
        ):
            yield number, payload
            at, last = end, number
        elif last is None:
            at += 1
        else:
            at = _next(data, at, last)


def _next(data: bytes, at: int, last: int) -> int:
    """Return where a record with one of the numbers behind `last` may begin; -1 if there is none."""
    found = [data.find(_NUMBER.pack(number), at + _HEADER.size) for number in range(last + 1, last + _LOOKED_FOR)]
    return min((place for place in found if place >= 0), default=_NUMBER.size - 1) - _NUMBER.size


def _released(data: bytes) -> int:
    if len(data) < 2 * _NUMBER.size:
        return 0
    number, complement = struct.unpack_from("<QQ", data)
    return int(number) if number ^ complement == 0xFFFFFFFFFFFFFFFF else 0
