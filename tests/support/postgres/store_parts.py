"""The parts of a store, each at hand, for tests of what happens between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.dead_letters import DeadLetters
from batkol.store.journal.records import AnyRecord, encode
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.order import look
from batkol.store.postgres.writer import Writer
from support.postgres.records import talk
from support.time.waiting import until

QUICK = DatabaseTimeouts(connect_s=2.0, statement_s=1.0, command_s=2.0)
"""For who waits for a limit: on a busy machine a well database may reach one of these, and is asked again."""

IN_VAIN = 8
"""Attempts to write that show that a writer goes on trying."""


class Kept:
    """A journal in `folder` (its front too), a database, a writer that runs once it is told to."""

    def __init__(
        self,
        where: Address,
        folder: Path,
        *,
        max_bytes: int = 1 << 30,
        patience: DatabaseTimeouts = DatabaseTimeouts(),  # noqa: B008  it is frozen
        kind: type[Journal] = Journal,
        **journal: Any,
    ) -> None:
        self.where = where
        memory = folder / "memory"
        memory.mkdir(exist_ok=True)
        self.journal = kind(folder / "journal", max_bytes=max_bytes, memory=memory, **journal)
        self.database = Database(where, pool_size=2, patience=patience)
        self.dead_letters = DeadLetters(folder / "journal")
        self.confirmed = Confirmed(folder / "journal")
        self.writer = Writer(self.journal, self.database, self.dead_letters, self.confirmed)
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.journal.open()
        await self.confirmed.open()

    def say(self, records: Iterable[AnyRecord]) -> None:
        for record in records:
            assert self.journal.append(encode(record))

    def write(self) -> None:
        """Begin to write."""
        self._writing = asyncio.create_task(self.writer.run())

    async def say_in_vain(self) -> None:
        """Say two calls that the database does not take, and wait for some attempts to write after each."""
        self.say(talk(0))
        self.write()
        await until(lambda: self.writer.retries >= IN_VAIN)
        self.say(talk(1))
        await until(lambda: self.writer.retries >= 2 * IN_VAIN)

    async def written(self, within: float = 60.0) -> None:
        """Wait until the database has everything."""
        if self._writing is None:
            self.write()
        assert self._writing is not None
        flushing = asyncio.ensure_future(self.writer.flush(within))
        await asyncio.wait((flushing, self._writing), return_when=asyncio.FIRST_COMPLETED)
        if self._writing.done():
            flushing.cancel()
            self._writing.result()
        assert await flushing

    async def close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.confirmed.close()
        await self.journal.close()
        await self.database.close()


async def newest(kept: Kept) -> int:
    """The number of the newest erasure: what a pod knows that has just asked."""
    async with kept.database.reading.connect() as connection:
        return (await look(connection, kept.confirmed.journal)).erasure
