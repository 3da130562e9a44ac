"""The journal: what the database is to be told, kept here until it has been.

Every record takes the same way. The event loop copies it to memory that outlives the process (`front`), which waits for
nothing; one thread moves it to the disk (`segments`) and has the disk flushed for a group of records at a time; the
writer reads it from there, and releases what the database has committed. When the journal is full, new records are
refused and the oldest kept.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import structlog

from batkol.errors import ConfigurationError
from batkol.store.ages import Ages
from batkol.store.framing import Frame, frame
from batkol.store.front import DROPPED_AT, Front, front_of
from batkol.store.segments import SEGMENT_BYTES, Segments

SYNC_S: Final = 0.1
"""Seconds between two flushes of the disk at least: what a loss of power may cost, and nothing else can."""

HAND_OVER_S: Final = 0.01
"""Seconds after which the thread is woken for a record, and for those that came meanwhile: that costs the event loop
more than the record does, and memory is safe enough until then.
"""

UNWRITTEN_BYTES: Final = 16 << 20
"""Bytes that may wait for a disk that takes nothing."""

AGAIN_S: Final = 1.0
"""Seconds after which a disk that refused is asked again."""

_RELEASED: Final = struct.Struct("<QQ")  # the number, and its complement: half of it alone is not believed

log = structlog.get_logger()

T = TypeVar("T")


class Journal:
    """One per process, and one process per folder. `append` never waits; the rest is for one writer."""

    def __init__(
        self, folder: Path, *, max_bytes: int, memory: Path | None = None, segment_bytes: int | None = None
    ) -> None:
        self._segment_bytes = segment_bytes or min(SEGMENT_BYTES, max_bytes // 8)
        self._folder = folder
        self._memory = memory
        self._segments = Segments(folder, segment_bytes=self._segment_bytes)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batkol-journal")
        self._unwritten: deque[tuple[int, bytes]] = deque()  # with their numbers
        self._held: list[tuple[int, bytes]] = []  # the thread's own, while the disk refuses
        self._handing_over: asyncio.TimerHandle | None = None
        self._taken_bytes = 0  # ever, by `append`
        self._written_bytes = 0  # of them, by the thread
        self._more = asyncio.Event()
        self._due: asyncio.TimerHandle | None = None  # the next flush, or the next attempt
        self._ages = Ages()
        self.max_bytes = max_bytes
        self.last = 0
        """The number of the newest record."""
        self.written = 0
        """The number up to which they are on the disk's side of memory, and can be read."""
        self.released = 0
        """The number up to which the database has them."""
        self.refused = 0
        """Records that found no room, since the start."""
        self.unsafe = 0
        """Records that memory had no room for, so that a kill could have lost them for a moment."""
        self.failing = ""
        """What the disk said last, if it takes nothing."""
        self.sync_ms = 0.0
        """How long the slowest flush of the disk took."""

    async def open(self) -> None:
        """Read what an earlier process left. Raises `ConfigurationError`: no such folder, or another process has it."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._in_thread(self._open)
        except OSError as error:
            self._thread.shutdown()
            raise ConfigurationError(
                f"the journal cannot be kept in JOURNAL_DIR={self._folder} ({error.strerror or error}); "
                "name a folder that this process alone may write to"
            ) from None

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise OSError("another process has it") from None
        self._mark = os.open(self._folder / "released", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._segments.open()
        self._front: Front = front_of(self._folder, self._memory)
        self.released = _read_mark(self._mark)
        if self._segments.first:
            self.released = max(self.released, self._segments.first - 1)
        self.last = max(self.released, self._segments.last)
        self._take_over(self._front.left())
        self.written = self.last
        if self.waiting:
            self._ages.note(self.released + 1)  # how old it is, only the record says

    def _take_over(self, left: list[Frame]) -> None:
        """Move what stood in memory to the disk; some of it may be there already."""
        new = [each for each in left if each.number > self.last]
        for each in new:  # one by one: a gap between two numbers is a record that was refused
            self._segments.append([frame(each.number, each.payload)], each.number)
            self.last = each.number
        self._segments.sync()
        self._front.drop()
        if waiting := self.last - self.released:
            log.info("[STORE] records of an earlier run wait for the database", records=waiting, from_memory=len(new))

    # -- the event loop's side -----------------------------------------------------------------------------------

    def append(self, payload: bytes) -> bool:
        """Keep a record; false if there is no room for it. Waits for no disk and no lock."""
        data = frame(self.last + 1, payload)
        if self.size + len(data) > self.max_bytes:
            return self._refuse("it is full; the database must come back, or JOURNAL_MAX_MB grow")
        if self._taken_bytes - self._written_bytes + len(data) > UNWRITTEN_BYTES:
            return self._refuse("its disk takes nothing")
        self._stand(data)
        self.last += 1
        self._ages.note(self.last)
        self._unwritten.append((self.last, data))
        self._taken_bytes += len(data)
        if self._handing_over is None:
            self._handing_over = self._loop.call_later(HAND_OVER_S, self._hand_over)
        return True

    def _hand_over(self) -> None:
        self._handing_over = None
        self._thread.submit(self._drain)

    def _stand(self, data: bytes) -> None:
        """Put the record where `kill -9` does not reach it."""
        try:
            self._front.append(data)
        except OSError as error:
            self.unsafe += 1
            if _is_power_of_two(self.unsafe):
                log.error("[STORE] no room in memory: a record is safe only when the disk has it", err=str(error))

    def _refuse(self, why: str) -> bool:
        self.refused += 1
        if _is_power_of_two(self.refused):
            log.error(f"[STORE] the journal takes no new record: {why}. It is LOST", refused=self.refused)
        return False

    @property
    def size(self) -> int:
        """Bytes on the disk and on their way there."""
        return self._segments.size + self._taken_bytes - self._written_bytes

    @property
    def waiting(self) -> int:
        """Records that the database has not got."""
        return self.last - self.released

    @property
    def oldest_s(self) -> float:
        """How long the oldest record that waits has waited here, in seconds; 0 if none waits."""
        return self._ages.age_s(self.released + 1) if self.waiting else 0.0

    async def more(self, patience: float) -> bool:
        """Wait until there is a record to read; false if none came for so many seconds. Cancelling it loses nothing."""
        try:
            async with asyncio.timeout(patience):
                while self.written <= self.released:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return False
        return True

    def _on_written(self) -> None:
        self._more.set()
        if self._front.size >= DROPPED_AT and self._taken_bytes == self._written_bytes:
            self._front.drop()
        if self._due is None:
            self._due = self._loop.call_later(AGAIN_S if self.failing else SYNC_S, self._on_due)

    def _on_due(self) -> None:
        self._due = None
        self._thread.submit(self._drain if self.failing else self._sync)

    # -- the writer's side ---------------------------------------------------------------------------------------

    async def read(self, most: int) -> list[Frame]:
        """Return up to `most` records behind the last released, in order. Raises `OSError`."""
        return await self._in_thread(lambda: self._segments.read(self.released, most))

    async def release(self, number: int) -> None:
        """The database has everything up to there. A cancelled release is carried out all the same."""
        self.released = max(self.released, number)
        self._ages.forget(self.released)
        await self._in_thread(self._release)

    async def settle(self) -> None:
        """Nothing waits: leave nothing of what was said on this disk, or in memory."""
        if self.last == self.released and self.size:
            if self._front.size:
                self._front.drop()
            await self._in_thread(lambda: self._segments.release(self.released, newest_too=True))

    async def close(self) -> None:
        """Have everything on the disk and let go of the folder. What waits is there at the next start."""
        for timer in (self._due, self._handing_over):
            if timer is not None:
                timer.cancel()
        await self._in_thread(self._close)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.shield(self._loop.run_in_executor(self._thread, work))

    # -- the thread's side ---------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Write what waits. A disk that refuses is asked again."""
        while self._unwritten:
            self._held.append(self._unwritten.popleft())
        if not self._held:
            return
        try:
            self._segments.append([data for _, data in self._held], self._held[0][0])
        except OSError as error:
            if not self.failing:
                log.error("[STORE] the journal's disk takes nothing; records wait in memory", err=str(error))
            self.failing = str(error)
        else:
            self.failing = ""
            self.written = self._held[-1][0]
            self._written_bytes += sum(len(data) for _, data in self._held)
            self._held.clear()
        self._loop.call_soon_threadsafe(self._on_written)

    def _sync(self) -> None:
        if self.released >= self.written:
            return  # the database has it all: a loss of power costs nothing here
        begun = time.perf_counter()
        try:
            self._segments.sync()
        except OSError as error:
            log.error("[STORE] the journal's disk cannot be flushed", err=str(error))
        self.sync_ms = max(self.sync_ms, (time.perf_counter() - begun) * 1000)

    def _release(self) -> None:
        os.pwrite(self._mark, _RELEASED.pack(self.released, ~self.released & 0xFFFFFFFFFFFFFFFF), 0)
        full = self._segments.size >= self._segment_bytes
        self._segments.release(self.released, newest_too=full and self.released == self.last)

    def _close(self) -> None:
        self._drain()
        self._sync()
        self._segments.close()
        if not self.failing:
            self._front.drop()
        self._front.close()
        os.close(self._mark)
        os.close(self._lock)


def _is_power_of_two(count: int) -> bool:
    """Whether it is the 1st, 2nd, 4th, 8th …: loud, and not a flood."""
    return count & (count - 1) == 0


def _read_mark(file: int) -> int:
    written = os.pread(file, _RELEASED.size, 0)
    if len(written) < _RELEASED.size:
        return 0
    number, complement = _RELEASED.unpack(written)
    return number if number ^ complement == 0xFFFFFFFFFFFFFFFF else 0
