"""Moves what the journal holds into the database: one task, in batches, again and again until it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
import structlog

from batkol.store.batch import Batch, batch_of, save
from batkol.store.database import FAULTS, Database, backoff_s, lies_in_the_data, named
from batkol.store.journal import Journal
from batkol.store.journal.dead_letters import DeadLetters
from batkol.store.journal.framing import Frame
from batkol.store.records import AnyRecord, decode

MOST: Final = 500
"""Records in a batch."""

GATHER_S: Final = 0.05
"""Seconds in which records are gathered into one batch, while there are few."""

SETTLE_S: Final = 5.0
"""Seconds without a record after which nothing of what was said is left on the pod."""

log = structlog.get_logger()


class WriterState(StrEnum):
    IDLE = "idle"  # nothing waits
    WRITING = "writing"
    WAITING = "waiting"  # for the database, or for the journal's disk


class Writer:
    """One per process. Everything here is on the event loop, and awaits the journal's thread or the database."""

    def __init__(self, journal: Journal, database: Database, dead_letters: DeadLetters) -> None:
        self._journal = journal
        self._database = database
        self._dead_letters = dead_letters
        self.state = WriterState.IDLE
        self.written = 0
        """Records that the database has taken, since the start."""
        self.retries = 0
        """Batches that had to be written again."""
        self.fault = ""
        """What the database said last, while it takes nothing."""
        self._said: set[str] = set()  # the faults of this outage that are in the log
        self._oldest_at: float | None = None  # Unix seconds: of the batch in hand

    @property
    def age_s(self) -> float:
        """How long the oldest record that waits has been waiting, in seconds; 0 if none waits."""
        return 0.0 if self._oldest_at is None else max(0.0, time.time() - self._oldest_at)

    async def run(self) -> None:
        """Write until cancelled. What is under way then is not lost: it is still in the journal."""
        while True:
            if not await self._journal.more(SETTLE_S):
                await self._journal.settle()
                continue
            if self._journal.waiting < MOST:
                await asyncio.sleep(GATHER_S)
            await self._write_some()

    async def flush(self, within: float) -> bool:
        """Wait until the database has everything; false if it did not take so many seconds."""
        try:
            async with asyncio.timeout(within):
                while self._journal.waiting:  # noqa: ASYNC110  once, at the end of the process
                    await asyncio.sleep(GATHER_S / 2)
        except TimeoutError:
            return False
        return True

    async def _write_some(self) -> None:
        """Bring the next batch to its end."""
        there = self._journal.written
        frames = await self._read()
        if not frames:
            await self._journal.release(there)  # damaged on the disk, and reported by the journal
            return
        self.state = WriterState.WRITING
        await self._deliver(frames)
        await self._journal.release(frames[-1].number)
        self.state, self._oldest_at = WriterState.IDLE, None

    async def _read(self) -> Sequence[Frame]:
        attempt = 0
        while True:
            try:
                return await self._journal.read(MOST)
            except OSError as error:
                await self._hold_on(f"the journal's disk: {error}", attempt)
                attempt += 1

    async def _deliver(self, frames: Sequence[Frame]) -> None:
        """Write these records, each once, or set them aside. Ends when that is done, however long it takes."""
        batch, refused = await asyncio.to_thread(_prepared, frames)
        for frame, why in refused:
            await asyncio.to_thread(self._dead_letters.add, frame.number, frame.payload, why)
        readable = [frame for frame in frames if frame not in {each for each, _ in refused}] if refused else frames
        if not readable:
            return
        self._oldest_at = batch.records[0].at
        attempt = 0
        while True:
            try:
                await self._save(batch)
            except FAULTS as error:
                if lies_in_the_data(error):
                    await self._divide(readable, error)
                    return
                await self._hold_on(named(error), attempt)
                attempt += 1
            else:
                self._is_back()
                self.written += len(readable)
                return

    async def _save(self, batch: Batch) -> None:
        async with self._database.writing.begin() as connection:
            await save(connection, batch)

    async def _divide(self, frames: Sequence[Frame], error: BaseException) -> None:
        """One of these records is at fault: each half by itself, down to the one."""
        if len(frames) == 1:
            (frame,) = frames
            await asyncio.to_thread(self._dead_letters.add, frame.number, frame.payload, named(error))
            return
        half = len(frames) // 2
        await self._deliver(frames[:half])
        await self._deliver(frames[half:])

    async def _hold_on(self, fault: str, attempt: int) -> None:
        """Wait before the next attempt; each fault is said once in an outage."""
        if fault not in self._said:
            self._said.add(fault)
            log.warning(
                "[STORE] the database does not take what was said; it waits in the journal, and is written again",
                fault=fault,
                waiting=self._journal.waiting,
            )
        self.state, self.fault = WriterState.WAITING, fault
        self.retries += 1
        await self._database.writing.dispose()  # after a failover, the old connection leads to the old server
        await asyncio.sleep(backoff_s(attempt))

    def _is_back(self) -> None:
        if self.fault:
            log.info("[STORE] the database takes what was said again", waiting=self._journal.waiting)
            self.fault = ""
            self._said.clear()


def _prepared(frames: Sequence[Frame]) -> tuple[Batch, list[tuple[Frame, str]]]:
    """Read the records; those that are none, or of a newer version, come back with the reason."""
    records: list[AnyRecord] = []
    refused: list[tuple[Frame, str]] = []
    for frame in frames:
        try:
            records.append(decode(frame.payload))
        except msgspec.DecodeError as error:
            refused.append((frame, type(error).__name__))
    return batch_of(records), refused
