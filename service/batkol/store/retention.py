"""Deletes what is older than `RETENTION_DAYS`, a little at a time, on one pod at a time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.erase import REMEMBERED_DAYS
from batkol.store.schema import call_statuses, calls, erasures, leads

DELETING: Final = 0x6261746B6F6C03
"""Advisory lock: of the pod that deletes."""

BATCH: Final = 500
"""Calls deleted in one transaction, with all their utterances."""

PAUSE_S: Final = 0.1
"""Seconds between two batches: others want the database, too."""


async def retain(engine: AsyncEngine, days: int, *, batch: int = BATCH, pause_s: float = PAUSE_S) -> dict[str, int]:
    """Delete everything older than `days` days (0: only what journals can hold no more of); return how much, by table.

    Does nothing while another pod does it. Raises what the database does; cancelling it, or losing the database, leaves
    whole batches done.
    """
    gone: dict[str, int] = {}
    async with engine.connect() as holder:
        if not await holder.scalar(select(func.pg_try_advisory_lock(DELETING))):
            return gone
        try:
            await holder.commit()  # no transaction stands open meanwhile: it would hold back the vacuum
            for table, old in _old(days):
                gone[table.name] = 0
                while deleted := await _delete(engine, table, old, batch):
                    gone[table.name] += deleted
                    await asyncio.sleep(pause_s)
        finally:
            await holder.execute(select(func.pg_advisory_unlock(DELETING)))
    return gone


def _old(days: int) -> list[tuple[Table, ColumnElement[bool]]]:
    found: list[tuple[Table, ColumnElement[bool]]] = []
    if days:
        found.append((calls, calls.c.started_at < _ago(days)))
        found.append((leads, leads.c.last_call_at < _ago(days)))
    found.append((call_statuses, call_statuses.c.told_at < _ago(min(days or REMEMBERED_DAYS, REMEMBERED_DAYS))))
    found.append((erasures, erasures.c.erased_at < _ago(REMEMBERED_DAYS)))
    return found


def _ago(days: int) -> ColumnElement[Any]:
    return func.now() - text(f"interval '{int(days)} days'")


async def _delete(engine: AsyncEngine, table: Table, old: ColumnElement[bool], batch: int) -> int:
    """Delete one batch; rows that somebody is writing to wait for the next time."""
    key = table.primary_key.columns[0]
    chosen = select(key).where(old).limit(batch).with_for_update(skip_locked=True)
    async with engine.begin() as connection:
        return (await connection.execute(delete(table).where(key.in_(chosen)))).rowcount
