"""Deletes what is older than `RETENTION_DAYS`, a little at a time, on one pod at a time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete, exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.postgres.erase import REMEMBERED_DAYS
from batkol.store.postgres.order import adopt
from batkol.store.postgres.outbox_retention import OUTBOX_DAYS, expire_events, forget_sinks
from batkol.store.postgres.schema import call_statuses, calls, erasures, journals, leads
from batkol.store.postgres.statements import HOLD

FORGOTTEN_DAYS: Final = 400
"""Time for which a journal is remembered that delivers nothing: far longer than any pod lives without a call."""

DELETING: Final = 0x6261746B6F6C03
"""Advisory lock: of the pod that deletes."""

BATCH: Final = 500
"""Calls deleted in one transaction, with all their utterances."""

OUTBOX_BATCH: Final = 5000
"""Events of the outbox deleted in one transaction."""

PAUSE_S: Final = 0.1
"""Seconds between two batches: others want the database, too."""


async def retain(engine: AsyncEngine, days: int, *, batch: int = BATCH, pause_s: float = PAUSE_S) -> dict[str, int]:
    """Delete everything older than `days` days (0: only what journals can hold no more of); return how much, by table.

    Does nothing while another pod does it. Raises what the database does; cancelling it, or losing the database, leaves
    whole batches done.
    """
    counts: dict[str, int] = {}
    async with engine.connect() as holder:
        if not await holder.scalar(select(func.pg_try_advisory_lock(DELETING))):
            return counts
        try:
            await holder.commit()  # no transaction stands open meanwhile: it would hold back the vacuum
            await _adopt_erasures(engine)
            counts["outbox"] = 0  # before its calls, which take their events along uncounted
            while expired := await expire_events(engine, OUTBOX_BATCH, min(days or OUTBOX_DAYS, OUTBOX_DAYS)):
                counts["outbox"] += expired
                await asyncio.sleep(pause_s)
            for table, old in _old(days):
                counts[table.name] = 0
                while deleted := await _delete(engine, table, old, batch):
                    counts[table.name] += deleted
                    await asyncio.sleep(pause_s)
            counts["sinks"] = await forget_sinks(engine)
        finally:
            await holder.execute(select(func.pg_advisory_unlock(DELETING)))
    return counts


async def _adopt_erasures(engine: AsyncEngine) -> None:
    """Before old erasures go: the number of the newest one stays known."""
    async with engine.begin() as connection:
        await connection.execute(HOLD)
        await adopt(connection)


def _old(days: int) -> list[tuple[Table, ColumnElement[bool]]]:
    found: list[tuple[Table, ColumnElement[bool]]] = []
    if days:
        found.append((calls, _is_old(calls.c.started_at, days) & (calls.c.updated_at < _ago(days))))
        last_call = exists().where(calls.c.call_sid == leads.c.last_call_sid)
        found.append((leads, _is_old(leads.c.last_call_at, days) & ~last_call))
    found.append((call_statuses, call_statuses.c.told_at < _ago(min(days or REMEMBERED_DAYS, REMEMBERED_DAYS))))
    found.append((erasures, erasures.c.erased_at < _ago(REMEMBERED_DAYS)))
    found.append((journals, journals.c.delivered_at < _ago(FORGOTTEN_DAYS)))
    return found


def _is_old(begun: ColumnElement[Any], days: int) -> ColumnElement[bool]:
    """Whether it began so long ago, or in a time to come: by the clock of a pod, which is not enough.

    A pod whose clock jumped back a year makes calls that seem a year old. So a call goes only when the database, by its
    own clock, has heard nothing of it for so long; and one from a time to come goes then, too.
    """
    return or_(begun < _ago(days), begun > func.now())


def _ago(days: int) -> ColumnElement[Any]:
    return func.now() - text(f"interval '{int(days)} days'")


async def _delete(engine: AsyncEngine, table: Table, old: ColumnElement[bool], batch: int) -> int:
    """Delete one batch; rows that another transaction writes to wait for the next time."""
    key = table.primary_key.columns[0]
    chosen = select(key).where(old).limit(batch).with_for_update(skip_locked=True)
    async with engine.begin() as connection:
        return (await connection.execute(delete(table).where(key.in_(chosen)))).rowcount
