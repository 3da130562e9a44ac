"""The journal: records that the database does not have yet.

Every record takes the same way. The event loop copies it to memory that outlives the process (`memory`), which waits
for no device; the writer takes it from there to Postgres. What Postgres has not got within 100 ms is committed to a
file (`disk`) by one thread, and is read from there. When the journal is full, new records are refused and the oldest
kept.

All state here belongs to the event loop. The thread gets its work from the event loop, and reports the result to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog

from batkol.errors import ConfigurationError
from batkol.store.journal.ages import Ages
from batkol.store.journal.disk import Disk
from batkol.store.journal.faults import advice
from batkol.store.journal.framing import Frame, frame
from batkol.store.journal.newest import UNWRITTEN_BYTES, is_power_of_two
from batkol.store.journal.opening import opened
from batkol.store.journal.tmpfs import FileCalls

SYNC_S: Final = 0.1
"""Seconds between two commits at least: what a loss of power may cost, and nothing else can."""

AGAIN_S: Final = 1.0
"""Seconds after which a disk that refused is asked again."""

WATCH_S: Final = 5.0
"""Seconds after which it is looked at whether the files are still where the next process looks for them."""

COMMITTED: Final = 2000
"""Records that one commit is given: the event loop counts them out, which takes less than 1 ms then."""

log = structlog.get_logger()

T = TypeVar("T")


class Journal:
    """One per process, and one process per folder. `append` never waits; the rest is for one writer."""

    def __init__(
        self, folder: Path, *, max_bytes: int, memory: Path | None = None, calls: FileCalls | None = None
    ) -> None:
        self._folder = folder
        self._memory_folder = memory
        self._calls = calls
        self._disk = Disk(folder, most_bytes=max_bytes)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batkol-journal")
        self._more = asyncio.Event()
        self._due: asyncio.TimerHandle | None = None  # the next commit
        self._committing: asyncio.Future[None] | None = None
        self._is_closing = False
        self._is_closed = False
        self._is_look_failing = False  # and no commit since
        self._ages = Ages()
        self.max_bytes = max_bytes
        self.last = 0
        """The number of the newest record."""
        self.released = 0
        """The number up to which the database has them."""
        self.refused = 0
        """Records that found no room, since the start."""
        self.failing = ""
        """The last error of the disk, while the disk accepts no writes."""

    async def open(self) -> None:
        """Read what an earlier process left. Raises `ConfigurationError`: no such folder, or another process has it."""
        self._loop = asyncio.get_running_loop()
        try:
            found = await self._in_thread(lambda: opened(self._disk, self._folder, self._memory_folder, self._calls))
        except OSError as error:
            self._thread.shutdown()
            raise ConfigurationError(
                f"the journal cannot be kept in JOURNAL_DIR={self._folder} ({error.strerror or error}); {advice(error)}"
            ) from None
        self._newest, self.released, self.last = found.newest, found.released, found.last
        self._report(found.fault)
        if self.waiting:
            self._ages.note(self.released + 1)  # only the record knows its age
        self._watching = self._loop.call_later(WATCH_S, self._watch)
        if self._has_work():
            self._arm()

    # -- the event loop's side -----------------------------------------------------------------------------------

    def append(self, payload: bytes) -> bool:
        """Keep a record; false if there is no room for it, or if it is closed. Waits for no disk and no lock."""
        if self._is_closed:
            return self._refuse("the journal is closed")
        data = frame(self.last + 1, payload)
        if self._waiting_bytes + len(data) > self.max_bytes:
            self._newest.forget(self._disk.committed)  # counted twice from the commit's end until `_on_done`
        if self._waiting_bytes + len(data) > self.max_bytes:
            return self._refuse("the journal is full; restore the database, or raise JOURNAL_MAX_MB")
        if self._newest.size + len(data) > UNWRITTEN_BYTES:
            return self._refuse("the journal's disk accepts no writes")
        self.last += 1
        self._newest.add(self.last, data)
        self._ages.note(self.last)
        self._more.set()
        if self._due is None:
            self._arm()
        return True

    def _refuse(self, why: str) -> bool:
        self.refused += 1
        if is_power_of_two(self.refused):
            log.error(f"[STORE] journal cannot take a new record: {why}. The record is LOST", refused=self.refused)
        return False

    @property
    def written(self) -> int:
        """The number up to which records can be read: all can, from the moment they are appended."""
        return self.last

    @property
    def committed(self) -> int:
        """The number up to which records are on the disk, or were."""
        return self._disk.committed

    @property
    def size(self) -> int:
        """Bytes on the disk and on their way there."""
        return self._disk.size + self._newest.size

    @property
    def _waiting_bytes(self) -> int:
        """Bytes that the database has not got; of the disk's rows, by their average. It need not delete the others."""
        rows, waiting = self._disk.rows, max(0, self._disk.committed - self.released)
        share = waiting / rows if waiting < rows else bool(waiting)
        return self._newest.size + int(self._disk.size * share)

    @property
    def waiting(self) -> int:
        """Records that the database has not got, or more where some were lost."""
        return self.last - self.released

    @property
    def oldest_s(self) -> float:
        """Age of the oldest waiting record, in seconds; 0 if none waits."""
        return self._ages.age_s(self.released + 1) if self.waiting else 0.0

    @property
    def unsafe(self) -> int:
        """Records that memory had no room for, so that a kill could have lost them for a moment."""
        return self._newest.unsafe

    @property
    def lost(self) -> int:
        """Records that were on the disk and cannot be read any more, since the start."""
        return self._disk.lost

    @property
    def damaged(self) -> int:
        """Times that the journal's file was found damaged or removed, since the start."""
        return self._disk.damaged

    @property
    def sync_ms(self) -> float:
        """Duration of the slowest commit."""
        return self._disk.sync_ms

    async def more(self, patience: float) -> bool:
        """Wait until there is a record to read; false if none came for so many seconds. Cancelling it loses nothing."""
        try:
            async with asyncio.timeout(patience):
                while self.last <= self.released:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return False
        return True

    # -- commits -------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        if not self._is_closing:
            soon = 0.0 if len(self._newest) >= COMMITTED else SYNC_S
            self._due = self._loop.call_later(AGAIN_S if self.failing else soon, self._commit)

    def _has_work(self) -> bool:
        """Whether the disk lacks a record, or has one that it need not have any more."""
        disk = self._disk
        return bool(self._newest) or (disk.rows > 0 and (self.released > disk.released or disk.has_more))

    def _commit(self) -> None:
        """Give the thread what Postgres has not got yet."""
        self._due = None
        self._newest.check()
        if self._has_work():
            self._submit(partial(self._disk.commit, self._newest.items(COMMITTED), self.released))

    def _watch(self) -> None:
        """Look at whether both tiers are still there, though no record comes."""
        self._watching = self._loop.call_later(WATCH_S, self._watch)
        self._newest.check()
        if self._disk.rows:
            self._submit(partial(self._disk.watch, self.released), writes=False)

    def _submit(self, work: Callable[[], None], *, writes: bool = True) -> None:
        """Give the thread its work; one piece is in progress at a time, and the remaining work follows."""
        if self._committing is None and not self._is_closing:
            self._committing = self._loop.run_in_executor(self._thread, work)
            self._committing.add_done_callback(partial(self._on_done, writes=writes))

    def _on_done(self, done: asyncio.Future[None], *, writes: bool) -> None:
        self._committing = None
        self._report(done.exception(), writes=writes)
        self._newest.forget(self._disk.committed)
        if self._due is None and self._has_work():
            self._arm()

    def _report(self, error: BaseException | None, *, writes: bool = True) -> None:
        """Log once that the disk accepts no writes, and once, after a commit, that it accepts them again."""
        if not writes and self.failing and not self._is_look_failing:
            return
        self._is_look_failing = error is not None and not writes
        if error is None:
            if self.failing:
                log.info("[STORE] journal's disk writes resumed")
            self.failing = ""
            return
        if not self.failing:
            bug = None if isinstance(error, OSError) else error
            log.error("[STORE] journal's disk takes no writes; records wait in memory", err=str(error), exc_info=bug)
        self.failing = str(error) or type(error).__name__

    # -- the writer's side ---------------------------------------------------------------------------------------

    async def read(self, most: int) -> list[Frame]:
        """Return up to `most` records behind the last released, in order. Raises `OSError`."""
        after, up_to = self.released, self._disk.committed
        newest = self._newest.records(max(after, up_to), most)
        if after >= up_to:
            return newest
        found = await self._in_thread(lambda: self._disk.read(after, up_to, most))
        return found + newest[: most - len(found)]

    async def release(self, number: int) -> None:
        """Release records up to there: the database has them. The disk follows with the next commit."""
        self.released = max(self.released, number)
        self._newest.forget(self.released)
        self._ages.forget(self.released)
        if self._due is None and self._has_work():
            self._arm()

    async def settle(self) -> None:
        """Remove every record from this disk and from memory, when none waits. Returns the fault; raises nothing."""
        if self.last != self.released:
            return
        if self._newest.memory_size:
            self._newest.drop()
        if not self._disk.is_clean or self.failing:
            released = self.released
            fault = None
            try:
                await self._in_thread(lambda: self._disk.tidy(released))
            except OSError as error:
                fault = error
            self._report(fault)

    async def close(self) -> None:
        """Commit everything to the disk and close the folder. The next start has the remaining records."""
        self._is_closing = True
        for timer in (self._due, self._watching):
            if timer is not None:
                timer.cancel()
        batch, released, last = self._newest.items(), self.released, self.last
        try:
            await self._in_thread(lambda: self._finish(batch, released))
            self._newest.forget(last)
            self._newest.drop()
        except OSError as error:
            log.error("[STORE] journal's disk takes no writes; the newest records stay in memory", err=str(error))
        finally:
            self._is_closed = True
            self._newest.close()
            self._thread.shutdown(wait=False)

    def _finish(self, batch: Sequence[tuple[int, bytes]], released: int) -> None:
        try:
            if batch:
                self._disk.commit(batch, released)
            if not self._disk.is_clean and released >= self._disk.committed:
                self._disk.tidy(released)
        finally:
            self._disk.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.shield(self._loop.run_in_executor(self._thread, work))
