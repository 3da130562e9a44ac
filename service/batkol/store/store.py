"""The store of one process: everything that keeps calls, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import func, select

from batkol.answering.answerer import HistoryMessage
from batkol.events.recorder import NoRecorder, Recorder
from batkol.store.dev_postgres.server import embedded
from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.dead_letters import DeadLetters
from batkol.store.journal.recorder import JournalRecorder
from batkol.store.options import OutboxSettings, StoreSettings
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.store.postgres.cleanup import run_cleanup
from batkol.store.postgres.connections import Database
from batkol.store.postgres.conversation import said_in
from batkol.store.postgres.erase import Erased, erase
from batkol.store.postgres.faults import DB_ERRORS, driver_faults, error_name
from batkol.store.postgres.remedies import remedy_of
from batkol.store.postgres.schema import calls, leads, utterances
from batkol.store.postgres.writer import Writer
from batkol.store_status import NO_STORE, BacklogStatus, JournalStatus, NoStoreStatus, StoreStatus
from batkol.supervision.tasks import Tasks
from batkol.telemetry.metrics import Metrics

FLUSH_S: Final = 10.0
"""Seconds that the last records have at the end of the process; what is not written then is in the journal."""

log = structlog.get_logger()


class NoStore:
    """`STORE=none`: nothing is kept."""

    recorder: Recorder = NoRecorder()

    async def conversation(self, call_sid: str, within_s: float) -> tuple[HistoryMessage, ...]:  # noqa: ARG002
        """Return nothing: `batkol.store.conversations.StoredConversations`."""
        return ()

    def status(self) -> StoreStatus:
        """The entry of `/v1/status`."""
        return NoStoreStatus(kind=NO_STORE)

    def expose(self, metrics: Metrics) -> None:
        """Expose nothing."""


class Store:
    """Made by `running_store`; the database may come and go."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        dead_letters: DeadLetters,
        confirmed: Confirmed,
        pod: str,
        *,
        outbox: OutboxSettings | None = None,
    ) -> None:
        self.database = database
        self.journal = journal
        self.dead_letters = dead_letters
        self.confirmed = confirmed
        self.writer = Writer(journal, database, dead_letters, confirmed, outbox)
        self.recorder: Recorder = JournalRecorder(journal, pod, confirmed, hands_on=outbox is not None)

    async def erase(self, number: str) -> Erased:
        """Forget a number. Raises what the database does."""
        return await erase(self.database.reading, number)

    async def conversation(self, call_sid: str, within_s: float) -> tuple[HistoryMessage, ...]:
        """Return what was said in a call so far: `batkol.store.conversations.StoredConversations`."""
        return await said_in(self.database.reading, call_sid, within_s)

    async def counts(self) -> dict[str, int]:
        """Return how many rows each table has. Raises what the database does."""
        tables = (calls, utterances, leads)
        async with self.database.reading.connect() as connection:
            return {
                table.name: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
                for table in tables
            }

    def status(self) -> StoreStatus:
        """The entry of `/v1/status`."""
        journal, writer = self.journal, self.writer
        return StoreStatus(
            kind="postgres",
            database=self.database.where.shown,
            state=writer.state,
            fault=writer.fault or (f"the journal's disk: {journal.failing}" if journal.failing else None),
            backlog=BacklogStatus(records=journal.waiting, oldest_s=round(writer.age_s, 1)),
            journal=_status_of(journal),
            written=writer.written,
            retries=writer.retries,
            database_went_back=self.confirmed.went_back,
            set_aside=self.dead_letters.count,
            not_set_aside=self.dead_letters.lost,
        )

    def expose(self, metrics: Metrics) -> None:
        """Have its figures read at each scrape; once per process."""
        writer = self.writer
        _expose_journal(metrics, self.journal, self.dead_letters)
        metrics.gauge(
            "batkol.store.backlog.age_seconds",
            "Age of the oldest record that waits for the database, in seconds.",
            lambda: writer.age_s,
        )
        metrics.counter("batkol.store.written", "{record}", "Records written to the database.", lambda: writer.written)
        metrics.counter(
            "batkol.store.database.went_back",
            "{time}",
            "Times that the database lacked records that it had confirmed before.",
            lambda: self.confirmed.went_back,
        )
        metrics.counter(
            "batkol.store.retries",
            "{batch}",
            "Batches of records that the service wrote again after a fault.",
            lambda: writer.retries,
        )
        metrics.counter(
            "batkol.store.set_aside", "{record}", "Records that the database refused.", lambda: self.dead_letters.count
        )


def _expose_journal(metrics: Metrics, journal: Journal, dead_letters: DeadLetters) -> None:
    metrics.gauge("batkol.store.backlog", "Records that wait for the database.", lambda: journal.waiting)
    metrics.gauge("batkol.store.journal.bytes", "Size of the journal, in bytes.", lambda: journal.size)
    metrics.gauge(
        "batkol.store.journal.limit_bytes", "Largest size of the journal, in bytes.", lambda: journal.max_bytes
    )
    metrics.gauge(
        "batkol.store.journal.failing",
        "1 while the journal's disk accepts no writes, else 0.",
        lambda: int(bool(journal.failing)),
    )
    metrics.counter(
        "batkol.store.refused",
        "{record}",
        "Records lost because the journal or the file of dead letters was full.",
        lambda: journal.refused + dead_letters.lost,
    )
    metrics.counter(
        "batkol.store.journal.damaged",
        "{file}",
        "Journal files that were damaged or removed.",
        lambda: journal.damaged,
    )
    metrics.counter(
        "batkol.store.journal.lost",
        "{record}",
        "Records lost because the journal's file was damaged.",
        lambda: journal.lost,
    )


def _status_of(journal: Journal) -> JournalStatus:
    return JournalStatus(
        bytes=journal.size,
        max_bytes=journal.max_bytes,
        refused=journal.refused,
        unsafe=journal.unsafe,
        failing=journal.failing or None,
        damaged=journal.damaged,
        lost=journal.lost,
        slowest_sync_ms=round(journal.sync_ms, 1),
    )


@asynccontextmanager
async def running_store(settings: StoreSettings, tasks: Tasks | None = None) -> AsyncIterator[Store]:
    """Run a store. The database need not be there; the journal's folder must. Raises `ConfigurationError`.

    Its background tasks are counted among `tasks`. Leaving it gives the last records `FLUSH_S`; the rest stays in the
    journal.
    """
    async with AsyncExitStack() as stack:
        where = settings.address or await _start_dev_postgres(settings.database_dir, stack)
        for warning in where.warnings:
            log.warning(f"[STORE] {warning}")
        database = Database(where, pool_size=settings.pool_size, patience=settings.patience)
        stack.push_async_callback(database.close)
        journal = Journal(settings.journal_dir, max_bytes=settings.journal_max_bytes, memory=settings.memory)
        await journal.open()
        stack.push_async_callback(journal.close)
        confirmed = Confirmed(settings.journal_dir)
        await confirmed.open()
        stack.push_async_callback(confirmed.close)
        letters = DeadLetters(settings.journal_dir)
        store = Store(database, journal, letters, confirmed, settings.pod, outbox=settings.outbox)
        tasks = tasks or Tasks()
        await tasks.own(stack, store.writer.run, "store.writer")
        stack.push_async_callback(_flush, store)
        house = partial(run_cleanup, store.database, store.dead_letters, settings.retention_days)
        await tasks.own(stack, house, "store.housekeeping")
        await tasks.own(stack, partial(_log_schema_fit, where), "store.version", may_return=True)
        yield store


async def _flush(store: Store) -> None:
    if not await store.writer.flush(FLUSH_S):
        log.warning("[STORE] records stay in the journal for the next start", records=store.journal.waiting)


async def _start_dev_postgres(folder: Path, stack: AsyncExitStack) -> Address:
    """For development: start it, and make the tables."""
    server = await stack.enter_async_context(embedded(folder))
    await migrate.upgrade(server.address)
    log.info(
        "[STORE] no DATABASE_URL: the service starts its own Postgres, for development",
        url=server.url,
        folder=str(folder),
    )
    return server.address


async def _log_schema_fit(where: Address) -> None:
    """Log once whether the database has our tables, and of which version: without them it refuses all records."""
    try:
        with driver_faults():
            found = await migrate.current(where)
        wanted = await asyncio.to_thread(migrate.head)
        is_known = await asyncio.to_thread(migrate.knows, found)
        if found == wanted:
            log.info("[STORE] store started", database=where.shown, version=found)
        elif found is None:
            log.error(
                "[STORE] the database has no tables of Batkol; run `batkol migrate`. The journal keeps the calls",
                database=where.shown,
            )
        elif is_known:
            log.error(
                "[STORE] the database's tables are of an older version; run `batkol migrate`",
                found=found,
                wanted=wanted,
            )
        else:
            log.error(
                "[STORE] the database's tables are of a newer version; deploy that version again, or have it migrate "
                "them down",
                found=found,
                wanted=wanted,
            )
    except DB_ERRORS as error:
        fault = error_name(error)
        log.warning(
            "[STORE] database not reachable yet; the journal keeps calls",
            database=where.shown,
            fault=fault,
            remedy=remedy_of(fault),
        )
