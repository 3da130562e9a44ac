"""Once an hour: what is too old goes, from the database and from what was set aside; calls that never ended end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

import structlog
from sqlalchemy import func, select

from batkol.backoff import jittered
from batkol.store.journal.aside import remove_aside
from batkol.store.journal.dead_letters import DeadLetters
from batkol.store.journal.disk import FILE
from batkol.store.journal.records import AnyRecord, CallStatus
from batkol.store.postgres.connections import Database
from batkol.store.postgres.erase import complete_erasures
from batkol.store.postgres.faults import error_name
from batkol.store.postgres.numbers import digest
from batkol.store.postgres.open_calls import close_open
from batkol.store.postgres.order import ALL_ERASED
from batkol.store.postgres.remedies import remedy_of
from batkol.store.postgres.retention import retain

EVERY_S: Final = 3600.0
FIRST_SHARE: Final = 0.1
"""The first time comes after this share of `EVERY_S` at most."""
DAMAGED_DAYS: Final = 7
"""Days for which a damaged journal file is kept at most."""

CLOCKS_APART_S: Final = 86400.0
"""Seconds by which this pod's clock may be ahead of the database's: an erasure takes damaged files that seem so much
younger, too."""

_DAY_S: Final = 86400.0

log = structlog.get_logger()


async def run_cleanup(database: Database, dead_letters: DeadLetters, days: int) -> None:
    """Clean up until cancelled, the first time within some minutes, so that pods do not all begin at once."""
    await asyncio.sleep(jittered(FIRST_SHARE * EVERY_S))
    while True:
        await _attempt(clean_up_once(database, dead_letters, days), "old calls could not be deleted")
        await _attempt(close_open(database.reading), "calls without an end could not be closed")
        await _attempt(complete_erasures(database.reading), "erasures by an older version could not be completed")
        await asyncio.sleep(EVERY_S)


async def _attempt(work: Awaitable[object], failed: str) -> None:
    """Do one part of it; a fault of whatever kind ends no other part, and no later hour.

    What the driver raises when it is cancelled may hide the cancellation: that ends the task all the same.
    """
    try:
        await work
    except Exception as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        fault = error_name(error)
        log.warning(f"[STORE] {failed}; again in an hour", fault=fault, remedy=remedy_of(fault))


async def clean_up_once(database: Database, dead_letters: DeadLetters, days: int) -> None:
    """Delete expired and erased rows, and old files of the journal, once. Raises the database's errors."""
    deleted = await retain(database.reading, days)
    async with database.reading.connect() as connection:
        found = (await connection.execute(ALL_ERASED)).all()
        now: float = (await connection.execute(select(func.now()))).scalar_one().timestamp()
    erased: dict[bytes, int] = {row.digest: row.number for row in found}
    before = now - days * _DAY_S if days else 0.0  # by the database's clock: this pod's may have jumped

    def is_to_go(record: AnyRecord | None) -> bool:
        if record is None:
            return False
        if isinstance(record, CallStatus):
            return record.at < before
        return record.at < before or record.who.after_erasure < erased.get(digest(record.who.party), 0)

    swept = await asyncio.to_thread(dead_letters.sweep, is_to_go)
    # an unreadable record of a damaged journal file may be any caller's: an erasure takes all of them
    kept_since = max(before, time.time() - DAMAGED_DAYS * _DAY_S)
    file_before = max([kept_since, *(row.erased_at.timestamp() + CLOCKS_APART_S for row in found)])
    if await asyncio.to_thread(remove_aside, dead_letters.path.with_name(FILE), file_before):
        log.info("[STORE] damaged journal file deleted: it is too old, or a number was erased since")
    if swept or any(deleted.values()):
        log.info("[STORE] expired or erased rows deleted", retention_days=days, set_aside=swept, **deleted)
