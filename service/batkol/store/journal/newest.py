"""The records that are neither in the file nor in Postgres: for the writer, for the next commit, and in tier 1.

They belong to the event loop. A tier 1 that fails loses nothing while the process lives; the fault is logged,
counted, and the work tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

import structlog

from batkol.store.journal.framing import HEADER_BYTES, Frame
from batkol.store.journal.tmpfs import DROPPED_AT, MemoryFile

UNWRITTEN_BYTES: Final = 16 << 20
"""Bytes that may wait for a disk that takes nothing, while Postgres takes nothing either."""

log = structlog.get_logger()


class NewestRecords:
    """Frames by number, the oldest first, and the file that has them for the next process."""

    def __init__(self, memory: MemoryFile, left: Mapping[int, bytes]) -> None:
        self._memory = memory
        self._frames = dict(left)
        self._fault = ""
        self.size = sum(len(data) for data in self._frames.values())
        """Bytes of the frames."""
        self.unsafe = 0
        """Records that memory had no room for, so that a kill could have lost them for a moment."""

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def memory_size(self) -> int:
        """Bytes in tier 1: these, and some that are safe elsewhere."""
        return self._memory.size

    def add(self, number: int, data: bytes) -> None:
        """Add a frame, where `kill -9` does not reach it. Waits for no disk."""
        self._frames[number] = data
        self.size += len(data)
        try:
            self._memory.append(data)
        except OSError as error:
            self.unsafe += 1
            if is_power_of_two(self.unsafe):
                log.error("[STORE] no room in memory: a record is safe only when the disk has it", err=str(error))

    def items(self, most: int | None = None) -> list[tuple[int, bytes]]:
        """Return the numbers and the frames of the oldest so many; of all by default."""
        return list(islice(self._frames.items(), most))

    def records(self, after: int, most: int) -> list[Frame]:
        """Return up to `most` records with a number above `after`."""
        wanted = (Frame(number, data[HEADER_BYTES:]) for number, data in self._frames.items() if number > after)
        return list(islice(wanted, most))

    def forget(self, up_to: int) -> None:
        """Forget records that are in the file, or in Postgres."""
        done = []
        for number in self._frames:
            if number > up_to:
                break
            done.append(number)
        for number in done:
            self.size -= len(self._frames.pop(number))
        if self._memory.size >= DROPPED_AT:
            self.drop()

    def drop(self) -> None:
        """Leave in tier 1 only what is needed, if that can be done; else it takes no time."""
        if not self._memory.can_drop(self.size):
            return
        try:
            self._memory.drop(list(self._frames.values()))
        except OSError as error:
            self._log(f"the service cannot drop records from memory that the disk has: {error}")
        else:
            self._fault = ""

    def check(self) -> None:
        """Have the records in a file that the next process finds."""
        try:
            if not self._memory.is_there():
                log.error("[STORE] file of the newest records was removed while in use; the service makes a new one")
                self._memory.replace(list(self._frames.values()))
        except OSError as error:
            self._log(f"the service cannot create the file of the newest records: {error}")

    def _log(self, fault: str) -> None:
        if fault != self._fault:
            log.error(f"[STORE] {fault}")
        self._fault = fault

    def close(self) -> None:
        """Close tier 1; its records stay there."""
        self._memory.close()


def is_power_of_two(count: int) -> bool:
    """Whether it is the 1st, 2nd, 4th, 8th …: loud, and not a flood."""
    return count & (count - 1) == 0
