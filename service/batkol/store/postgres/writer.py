"""Moves what the journal holds into the database: one task, in batches, again and again until it is there.

Each turn reads from the journal behind what was released last, tries once, and releases what the database has taken.
Nothing is remembered from turn to turn that a turn needs, so whatever ends one, the next begins where it began, and
what is written twice is written once (`statements`). What a turn meets is one of three:

- *a batch that took too long*: the next turn tries half of it;
- *a record at fault*, which no connection helps: half of the batch, down to the one, which is set aside;
- *anything else*: the database, the network, the driver or the journal's disk is out of order, and is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from batkol.backoff import Backoff
from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.dead_letters import DeadLetters
from batkol.store.journal.framing import Frame
from batkol.store.options import OutboxSettings
from batkol.store.postgres.batch import Batch, UnfitError, prepared, save
from batkol.store.postgres.batch_size import BatchSize
from batkol.store.postgres.connections import Database
from batkol.store.postgres.faults import (
    error_name,
    error_with_location,
    is_data_error,
    is_overtime,
    journal_error,
    sqlstate,
)
from batkol.store.postgres.order import confirm
from batkol.store.postgres.outage import THE_DATABASE, THE_JOURNAL, THE_WRITER, Outage

MOST: Final = 500
"""Records in a batch."""

GATHER_S: Final = 0.05
"""Seconds in which records are gathered into one batch, while there are few."""

SETTLE_S: Final = 5.0
"""Seconds without a record after which the pod's journal is emptied."""

CERTAIN_AFTER: Final = 3
"""Times that one record is refused, over as many connections, before it is set aside: a network that damages what
passes it makes a good record look bad, and seldom the same one again."""

ASIDE_ATTEMPTS: Final = 10
"""Times that the disk is asked to take a refused record; with the pauses between them about half a minute."""

RETRY: Final = Backoff(first_s=0.1, longest_s=10.0)


def _nothing() -> None:
    pass


class WriterState(StrEnum):
    IDLE = "idle"  # nothing waits
    WRITING = "writing"
    WAITING = "waiting"  # for the database, or for the journal's disk
    STOPPED = "stopped"  # `run` has ended, or has not begun


class Writer:
    """One per process. Everything here is on the event loop, and awaits the journal's thread or the database."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        dead_letters: DeadLetters,
        confirmed: Confirmed,
        outbox: OutboxSettings | None = None,
    ) -> None:
        """Make a writer. Without `outbox` no event is handed on, whatever the journal has."""
        self._journal = journal
        self._database = database
        self._dead_letters = dead_letters
        self._confirmed = confirmed
        self._outbox = outbox
        self.on_events: Callable[[], None] = _nothing
        """Called when the database has new events in the outbox; must neither wait nor raise."""
        self._size = BatchSize(MOST, database.patience.statement_s)
        self.state = WriterState.STOPPED
        self.written = 0
        """Records that the database has taken, since the start."""
        self._outage = Outage()
        self._refused = 0, 0  # a record by its number, and how often in a row it was refused
        self._aside = 0  # up to this number, what was to be set aside has been
        self._oldest_at: float | None = None  # by the monotonic clock: of a batch in hand that an earlier run left
        self._left = -1  # the newest record of an earlier run; -1: not looked at yet

    @property
    def fault(self) -> str:
        """The fault that keeps the writer from writing or from releasing records; empty if there is none."""
        return self._outage.fault or self._outage.unreleased

    @property
    def retries(self) -> int:
        """Batches that had to be written again."""
        return self._outage.failures

    @property
    def age_s(self) -> float:
        """Age of the oldest waiting record, in seconds, whatever the writer does; 0 if none waits."""
        if not self._journal.waiting:
            return 0.0
        in_hand = 0.0 if self._oldest_at is None else time.monotonic() - self._oldest_at
        return max(in_hand, self._journal.oldest_s)

    async def run(self) -> None:
        """Write until cancelled. What is under way then is not lost: it is still in the journal.

        After an end of whatever kind it may be called again, and goes on.
        """
        self.state, self._outage.fault = WriterState.IDLE, ""
        if self._left < 0:
            self._left = self._journal.last
        try:
            await self._confirmed.refresh(self._database)  # before the first call begins, if the database is there
            while True:
                await self._turn_whatever_comes()
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                self._outage.fault = f"the writer ended: {error_name(error)}"
            raise
        finally:
            self.state = WriterState.STOPPED

    async def flush(self, within: float) -> bool:
        """Wait until the database has everything; false if it did not take so many seconds."""
        try:
            async with asyncio.timeout(within):
                while self._journal.waiting:  # noqa: ASYNC110  once, at the end of the process
                    await asyncio.sleep(GATHER_S / 2)
        except TimeoutError:
            return False
        return True

    async def _turn_whatever_comes(self) -> None:
        try:
            await self._turn()
        except Exception as error:  # noqa: BLE001 -- whatever it is, what waits is still in the journal
            await self._hold_on(f"the writer: {error_with_location(error)}", THE_WRITER)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # This task is not cancelled: the driver or the executor cancelled a future.
            await self._hold_on(f"the writer: {error_with_location(error)}", THE_WRITER)

    async def _turn(self) -> None:
        """Bring the next batch to its end, or a little nearer to it."""
        try:
            if not await self._journal.more(SETTLE_S):
                await self._settle()
                return
            if self._journal.waiting < min(MOST, self._size.records):
                await asyncio.sleep(GATHER_S)
            there = self._journal.written
            frames = await self._journal.read(self._size.records)
        except Exception as error:  # noqa: BLE001 -- as above
            await self._hold_on(journal_error(error), THE_JOURNAL)
            return
        if frames:
            await self._deliver(frames)
        else:
            await self._release(there)  # damaged on the disk, and reported by the journal

    async def _deliver(self, frames: Sequence[Frame]) -> None:
        """Write these records, each once, or set them aside; or see to it that the next turn does better."""
        try:
            batch, refused = await asyncio.to_thread(prepared, frames)
            if batch.records:
                self.state, self._oldest_at = WriterState.WRITING, self._oldest(frames, batch)
                slowest_s = await self._save(batch)
                self._size.written(len(frames), slowest_s)
        except Exception as error:  # noqa: BLE001 -- as above
            if is_data_error(error) or isinstance(error, UnfitError):
                await self._suspect(frames, error)
            else:
                await self._put_off(frames, error)
            return
        if batch.records:
            self._outage.end(self._journal.waiting)
            self.written += len(batch.records)
        for frame, why in refused:
            await self._set_aside(frame, why)
        await self._release(frames[-1].number)

    def _oldest(self, frames: Sequence[Frame], batch: Batch) -> float | None:
        """Return when the oldest record came. For an earlier run's only the wall clock knows, which is read once."""
        if frames[0].number > self._left:
            return None  # the journal knows, by a clock that does not jump
        return self._oldest_at or time.monotonic() - max(0.0, time.time() - batch.records[0].at)

    async def _save(self, batch: Batch) -> float:
        known, records = self._confirmed, len(batch.records)
        async with asyncio.timeout(self._database.patience.transaction_s), self._database.writing.begin() as connection:
            slowest_s = await save(connection, batch, self._outbox)
            found = await confirm(connection, known.journal, known.delivered, records)
        known.learn(found, records)
        if self._outbox is not None and batch.rows.outbox:
            self.on_events()
        return slowest_s

    async def _put_off(self, frames: Sequence[Frame], error: Exception) -> None:
        """The batch is for later, and if it took too long, half of it."""
        if is_overtime(error):
            self._size.failed(len(frames))
            if len(frames) > 1:
                self._outage.attempt = 0  # the server was given its time already
        if sqlstate(error) is None or not is_overtime(error):
            self._database.reconnect()
        await self._hold_on(error_name(error))

    async def _suspect(self, frames: Sequence[Frame], error: Exception) -> None:
        """One of these records is at fault: the next turn has half of them, and at last the one."""
        if len(frames) > 1:
            self._size.failed(len(frames))
            return
        (frame,) = frames
        number, times = self._refused
        self._refused = frame.number, times + 1 if number == frame.number else 1
        if self._refused[1] < CERTAIN_AFTER:
            await self._database.renew_writing()
            await asyncio.sleep(RETRY.wait_s(0))
            return
        await self._set_aside(frame, error_with_location(error) if isinstance(error, UnfitError) else error_name(error))
        await self._release(frame.number)

    async def _set_aside(self, frame: Frame, why: str) -> None:
        """Set a record aside. A disk that does not take it is asked again, for some time: then the others go on."""
        if frame.number <= self._aside:
            return
        for attempt in range(ASIDE_ATTEMPTS):
            try:
                await asyncio.to_thread(self._dead_letters.add, frame.number, frame.payload, why)
                break
            except OSError as error:
                self.state = WriterState.WAITING
                self._outage.fault = f"a refused record cannot be set aside: {error.strerror}"
                await asyncio.sleep(RETRY.wait_s(attempt))
        else:
            self._dead_letters.lose(frame.number, self._outage.fault)
        self._aside = frame.number

    async def _release(self, number: int) -> None:
        """Release records that the database has; a journal that cannot release them delays nothing behind them."""
        try:
            await self._journal.release(number)
        except Exception as error:  # noqa: BLE001 -- as above
            self._outage.not_released(journal_error(error))
            if self._journal.released < number:  # it would be read again at once
                await self._hold_on(self._outage.unreleased, THE_JOURNAL)
                return
        else:
            self._outage.unreleased = ""
        self.state, self._oldest_at = WriterState.IDLE, None

    async def _settle(self) -> None:
        await self._confirmed.refresh(self._database)
        try:
            if self._outage.unreleased:
                await self._journal.release(self._journal.released)
            await self._journal.settle()
            if not self._journal.waiting:
                self._outage.end(self._journal.waiting)
        except Exception as error:  # noqa: BLE001 -- as above
            self._outage.not_released(journal_error(error))
        else:
            self._outage.unreleased = ""

    async def _hold_on(self, fault: str, whose: str = THE_DATABASE) -> None:
        """Wait before the next attempt."""
        self.state = WriterState.WAITING
        attempt = self._outage.fail(fault, whose, self._journal.waiting)
        await self._database.renew_writing()  # after a failover, the old connection leads to the old server
        await asyncio.sleep(RETRY.wait_s(attempt))
